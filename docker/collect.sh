#!/bin/sh
# collect.sh BIN OUT: puts the programs of BIN, stripped, into the tree OUT as the image has them, and beside them
#   runtime-packages  Debian's packages with the shared libraries that the programs name
#   compiled-in       package and version of libraries that are compiled into them (headers only)
# Times are SOURCE_DATE_EPOCH, so that the same programs make the same layer.
set -eu
bin=$1 share=$2/usr/local/share/merpati target=$2/usr/local/bin
mkdir -p "$target" "$share"
for program in merpati merpatictl; do
  objcopy --strip-all "$bin/$program" "$target/$program"
  chmod 755 "$target/$program"
done

# soname -> the file that the loader takes -> its package
named() { objdump -p "$target"/* | awk '$1 == "NEEDED" { print $2 }' | sort -u; }
loaded() { for program in "$target"/*; do ldd "$program"; done | awk '$2 == "=>" { print $1, $3 }' | sort -u; }
loaded >"$share/loaded"
for soname in $(named); do
  file=$(awk -v soname="$soname" '$1 == soname { print $2; exit }' "$share/loaded")
  [ -n "$file" ] || continue  # the loader itself
  # Debian 12's packages own /usr/lib/... or /lib/..., which are the same place.
  dpkg-query -S "$file" 2>/dev/null || dpkg-query -S "$(readlink -f "$file")" 2>/dev/null ||
    dpkg-query -S "/usr$file" 2>/dev/null || dpkg-query -S "${file#/usr}" || {
      echo "collect.sh: no package owns $file" >&2
      exit 1
    }
done | cut -d: -f1 | sort -u >"$share/runtime-packages"
rm "$share/loaded"
[ -s "$share/runtime-packages" ]
dpkg-query -W -f '${Package} ${Version}\n' libboost1.81-dev libcli11-dev nlohmann-json3-dev libspdlog-dev >"$share/compiled-in"
find "$2" -exec touch -hd "@${SOURCE_DATE_EPOCH:-0}" {} +
