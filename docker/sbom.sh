#!/bin/sh
# sbom.sh NAME VERSION REVISION [FOLDER]: SPDX 2.3 (JSON) about this root filesystem, from dpkg's database.
# FOLDER may hold runtime-packages (what NAME links dynamically) and compiled-in (what is compiled into it).
set -eu
name=$1 version=$2 revision=$3 folder=${4:-/nonexistent}
created=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(stat -c %Y /etc/debian_version)}" +%Y-%m-%dT%H:%M:%SZ)
{
  dpkg-query -W -f 'deb\t${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n' | sort
  [ ! -e "$folder/compiled-in" ] || awk '{ print "static\t" $1 "\t" $2 "\tall\t" $1 "\t" $2 }' "$folder/compiled-in"
  [ ! -e "$folder/runtime-packages" ] || awk '{ print "dynamic\t" $1 }' "$folder/runtime-packages"
} | awk -F '\t' -v name="$name" -v version="$version" -v revision="$revision" -v created="$created" '
  # Names and versions of packages need no escape in JSON (Debian policy 5.6.1, 5.6.12).
  function id(package) { gsub(/[+]/, "plus", package); gsub(/[^A-Za-z0-9.-]/, "-", package); return "SPDXRef-" package }
  function relation(from, kind, to) {
    relations = relations (relations == "" ? "" : ",\n") \
      "  {\"spdxElementId\":\"" from "\",\"relationshipType\":\"" kind "\",\"relatedSpdxElement\":\"" to "\"}"
  }
  function package(key, title, number, more) {
    printf "%s  {\"SPDXID\":\"%s\",\"name\":\"%s\",\"versionInfo\":\"%s\",\"downloadLocation\":\"NOASSERTION\",\"filesAnalyzed\":false%s}", \
      separator, key, title, number, more
    separator = ",\n"
  }
  function purl(title, number, architecture) {
    gsub(/[+]/, "%2B", title); gsub(/[+]/, "%2B", number); gsub(/:/, "%3A", number)
    return ",\"externalRefs\":[{\"referenceCategory\":\"PACKAGE-MANAGER\",\"referenceType\":\"purl\",\"referenceLocator\":\"pkg:deb/debian/" \
      title "@" number "?arch=" architecture "&distro=debian-12\"}]"
  }
  BEGIN {
    printf "{\"spdxVersion\":\"SPDX-2.3\",\"dataLicense\":\"CC0-1.0\",\"SPDXID\":\"SPDXRef-DOCUMENT\",\"name\":\"%s-%s\",\n", name, version
    printf " \"documentNamespace\":\"https://merpati.invalid/sbom/%s/%s/%s\",\n", name, version, revision
    printf " \"creationInfo\":{\"created\":\"%s\",\"creators\":[\"Tool: merpati-sbom\"]},\n \"packages\":[\n", created
    me = id(name "-programs")
    package(me, name, version, ",\"sourceInfo\":\"revision " revision "\"")
    relation("SPDXRef-DOCUMENT", "DESCRIBES", me)
  }
  $1 == "deb" {
    package(id($2), $2, $3, ",\"supplier\":\"Organization: Debian\",\"sourceInfo\":\"source " $5 " " $6 "\"" purl($2, $3, $4))
    relation("SPDXRef-DOCUMENT", "DESCRIBES", id($2))
  }
  $1 == "static" {
    package(id($2), $2, $3, ",\"supplier\":\"Organization: Debian\",\"sourceInfo\":\"source " $5 " " $6 "\"" purl($2, $3, "amd64"))
    relation(me, "STATIC_LINK", id($2))
  }
  $1 == "dynamic" { relation(me, "DYNAMIC_LINK", id($2)) }
  END { printf "\n ],\n \"relationships\":[\n%s\n ]}\n", relations }'
