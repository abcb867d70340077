#include "merpati/mailauth/canonical.hpp"

#include <algorithm>

#include "merpati/mime/header.hpp"

namespace merpati::mailauth {
namespace {
bool is_wsp(char c) { return c == ' ' || c == '\t'; }
bool is_space(char c) { return is_wsp(c) || c == '\r' || c == '\n'; }

std::string relaxed_field(std::string_view raw) {
  const auto colon = raw.find(':');
  if (colon == std::string_view::npos) return std::string(raw);
  std::string out = mime::to_lower(mime::trim(raw.substr(0, colon)));
  out.push_back(':');
  bool space = false;
  const std::size_t start = out.size();
  for (const char c : raw.substr(colon + 1)) {
    if (is_space(c)) {
      space = true;
      continue;
    }
    if (space && out.size() > start) out.push_back(' ');
    space = false;
    out.push_back(c);
  }
  return out + "\r\n";
}
}  // namespace

std::string_view to_string(Canonical canonical) { return canonical == Canonical::kSimple ? "simple" : "relaxed"; }

std::string canonical_field(std::string_view raw, Canonical canonical) {
  if (canonical == Canonical::kRelaxed) return relaxed_field(raw);
  std::string out;
  out.reserve(raw.size() + 2);
  for (const char c : raw) {
    if (c == '\n' && !out.ends_with('\r')) out.push_back('\r');
    out.push_back(c);
  }
  if (!out.ends_with('\n')) out += "\r\n";
  return out;
}

std::string without_signature(std::string_view raw) {
  const auto colon = raw.find(':');
  std::size_t at = colon == std::string_view::npos ? 0 : colon + 1;
  std::string_view body = raw;
  std::string_view line_end;
  if (body.ends_with('\n')) line_end = body.ends_with("\r\n") ? "\r\n" : "\n";
  body.remove_suffix(line_end.size());
  while (at < body.size()) {
    const auto end = std::min(body.find(';', at), body.size());
    const auto tag = body.substr(at, end - at);
    const auto equals = tag.find('=');
    if (equals != std::string_view::npos && mime::trim(tag.substr(0, equals)) == "b") {
      std::string out(body.substr(0, at + equals + 1));
      out += body.substr(end);
      return out += line_end;
    }
    at = end + 1;
  }
  return std::string(raw);
}

BodyHash::BodyHash(Canonical canonical, std::optional<std::uint64_t> limit) : canonical_(canonical), limit_(limit) {}

void BodyHash::flush() {
  sha_.update(buffer_);
  buffer_.clear();
}

void BodyHash::put(std::string_view bytes) {
  const std::uint64_t before = octets_;
  octets_ += bytes.size();
  if (limit_) {
    if (before >= *limit_) return;
    bytes = bytes.substr(0, *limit_ - before);
  }
  buffer_ += bytes;
  if (buffer_.size() >= 16'384) flush();
}

void BodyHash::text(std::string_view bytes) {
  while (!bytes.empty()) {
    if (canonical_ == Canonical::kRelaxed && is_wsp(bytes[0])) {  // 3.4.4: runs become one space, none at the end
      space_ = true;
      bytes.remove_prefix(1);
      continue;
    }
    for (; empty_lines_ > 0; --empty_lines_) put("\r\n");
    if (space_) put(" ");
    space_ = false;
    line_has_text_ = true;
    const auto end = canonical_ == Canonical::kSimple ? std::string_view::npos : bytes.find_first_of(" \t");
    put(bytes.substr(0, end));
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end);
  }
}

void BodyHash::end_line() {
  cr_ = space_ = false;
  if (line_has_text_)
    put("\r\n");
  else
    ++empty_lines_;  // 3.4.3, 3.4.4: those at the end do not count
  line_has_text_ = false;
}

void BodyHash::update(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto lf = bytes.find('\n');
    auto line = bytes.substr(0, lf);
    if (!line.empty()) {
      if (cr_) text("\r");
      cr_ = line.ends_with('\r');
      if (cr_) line.remove_suffix(1);
      text(line);
    }
    if (lf == std::string_view::npos) return;
    end_line();
    bytes.remove_prefix(lf + 1);
  }
}

const std::string& BodyHash::finish() {
  if (cr_) text("\r");
  if (line_has_text_) put("\r\n");
  if (octets_ == 0 && canonical_ == Canonical::kSimple) put("\r\n");  // 3.4.3: an empty body is one line end
  flush();
  hash_ = sha_.finish();
  return hash_;
}

bool BodyHashes::add(Canonical canonical, std::optional<std::uint64_t> limit) {
  auto& slot = hashes_[{canonical, limit}];
  if (slot) return true;
  if (hashes_.size() > 20) {
    hashes_.erase({canonical, limit});
    return false;
  }
  slot = std::make_unique<BodyHash>(canonical, limit);
  return true;
}

void BodyHashes::update(std::string_view bytes) {
  for (auto& [key, hash] : hashes_) hash->update(bytes);
}

void BodyHashes::finish() {
  for (auto& [key, hash] : hashes_) hash->finish();
}

const BodyHash* BodyHashes::find(Canonical canonical, std::optional<std::uint64_t> limit) const {
  const auto found = hashes_.find({canonical, limit});
  return found == hashes_.end() ? nullptr : found->second.get();
}

}  // namespace merpati::mailauth
