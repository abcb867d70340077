// SPF records and macro strings: what parses expands, and terms are those of the text.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "merpati/mailauth/spf_record.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace merpati::mailauth;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  SpfMacros macros;
  macros.domain = macros.sender_domain = "a.example";
  macros.client = boost::asio::ip::make_address("2001:db8::1");
  if (const auto record = parse_spf_record(text)) {
    for (const SpfTerm& term : record->terms) {
      if (text.find(term.text) == std::string_view::npos) std::abort();
      if (!term.domain_spec.empty() && !valid_macro_string(term.domain_spec, MacroUse::kDomain)) std::abort();
      (void)expand_macros(term.domain_spec, macros);
    }
  }
  if (valid_macro_string(text, MacroUse::kExplanation)) (void)expand_macros(text, macros);
  (void)uses_validated_name(text);
  return 0;
}
