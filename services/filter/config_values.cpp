#include "filter/config_values.hpp"

namespace merpati::filter {

WhenUnchecked when_unchecked(config::v1::Unchecked unchecked) {
  switch (unchecked) {
    case config::v1::UNCHECKED_TEMPORARY:
      return WhenUnchecked::kTemporary;
    case config::v1::UNCHECKED_SKIP:
      return WhenUnchecked::kSkip;
    default:
      return WhenUnchecked::kMark;
  }
}

Result<net::CidrSet> networks_from(const std::string& key,
                                   const google::protobuf::RepeatedPtrField<std::string>& ranges) {
  std::vector<std::string> texts(ranges.begin(), ranges.end());
  if (texts.empty()) texts = {"127.0.0.0/8", "::1"};
  if (texts == std::vector<std::string>{"none"}) texts.clear();
  auto set = net::CidrSet::parse(texts);
  if (set.has_error()) return std::move(set).error().in(key);
  return set;
}

}  // namespace merpati::filter
