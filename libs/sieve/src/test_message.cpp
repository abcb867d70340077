// Tests of header, addresses, envelope and body.
#include <algorithm>

#include "machine.hpp"
#include "merpati/mime/address.hpp"
#include "merpati/mime/content_type.hpp"
#include "merpati/mime/header.hpp"

namespace merpati::sieve {
namespace {

void collect_parts(const mime::Part& part, std::vector<const mime::Part*>& out) {
  out.push_back(&part);
  for (const mime::Part& child : part.children) collect_parts(child, out);
}

/// RFC 5228 2.7.4, RFC 5233 4. Nothing: the address has no such part.
std::optional<std::string> address_part(Tag part, std::string_view local, std::string_view domain,
                                        const std::string& whole) {
  const std::size_t plus = local.find('+');
  switch (part) {
    case Tag::kLocalpart:
      return std::string(local);
    case Tag::kDomain:
      return std::string(domain);
    case Tag::kUser:
      return std::string(local.substr(0, plus));
    case Tag::kDetail:
      if (plus == std::string_view::npos) return std::nullopt;
      return std::string(local.substr(plus + 1));
    default:
      return whole;
  }
}

}  // namespace

bool Machine::each_field(const Node& node, const Value& names, const UseField& use) {
  std::string space;
  const Value* index = node.find(Tag::kIndex);
  const auto choose = [&](auto& found) {
    // RFC 5260 6: one of the fields of this name, counted from the top or from the end
    if (index == nullptr) return;
    const std::uint64_t at = index->number;
    if (at == 0 || at > found.size()) return found.clear();
    auto one = found[node.has(Tag::kLast) ? found.size() - at : at - 1];
    found.assign(1, one);
  };
  for (const Text& text : names.texts) {
    const std::string_view name = view(text, space);
    if (node.has(Tag::kMime)) {
      // RFC 5703 4.1: the header of the part in hand, with :anychild those of all parts in it
      std::vector<const mime::Part*> parts{&part_here()};
      if (node.has(Tag::kAnychild)) parts.clear(), collect_parts(part_here(), parts);
      for (const mime::Part* part : parts) {
        if (!step(node, 1 + part->header.size / 64)) return false;
        std::vector<std::string_view> found;
        mime::FieldReader reader(part->header.of(message_.raw()));
        for (mime::Field field; reader.next(field);)
          if (mime::iequals(field.name, name)) found.push_back(field.value);
        choose(found);
        for (const auto value : found)
          if (use(nullptr, name, value)) return true;
      }
    } else {
      auto& fields = message_.fields();
      if (!step(node, 1 + fields.size() / 64)) return false;
      std::vector<Message::Field*> chosen;
      for (auto& field : fields) {
        if (!mime::iequals(field.name, name)) continue;
        if (index != nullptr)
          chosen.push_back(&field);
        else if (use(&field, name, field.value))
          return true;
      }
      choose(chosen);
      for (auto* field : chosen)
        if (use(field, name, field->value)) return true;
    }
  }
  return false;
}

bool Machine::test_header(const Node& node) {
  std::vector<std::string_view> values;
  std::vector<std::string> kept;
  const Value* param = node.find(Tag::kParam);
  const std::vector<std::string> params = param == nullptr ? std::vector<std::string>() : expand(*param);
  const bool options =
      param != nullptr || node.has(Tag::kType) || node.has(Tag::kSubtype) || node.has(Tag::kContenttype);
  // RFC 5703 4.2: a piece of Content-Type or Content-Disposition
  const auto add_option = [&](std::string_view name, std::string_view raw) {
    mime::ContentType type;
    if (mime::iequals(name, "content-disposition")) {
      auto disposition = mime::parse_disposition(raw);
      if (!disposition) return;
      type = {disposition->type, {}, std::move(disposition->parameters)};
    } else {
      auto parsed = mime::parse_content_type(raw);
      if (!parsed) return;
      type = *std::move(parsed);
    }
    if (node.has(Tag::kType)) kept.push_back(type.type);
    if (node.has(Tag::kSubtype)) kept.push_back(type.subtype);
    if (node.has(Tag::kContenttype)) kept.push_back(type.subtype.empty() ? type.type : type.type + "/" + type.subtype);
    for (const auto& one : params)
      if (auto value = mime::decoded_parameter(type.parameters, mime::to_lower(one))) kept.push_back(*std::move(value));
  };
  each_field(node, node.args[0], [&](Message::Field* field, std::string_view name, std::string_view raw) {
    if (options)
      add_option(name, raw);
    else if (field != nullptr)
      values.push_back(message_.decoded(*field));
    else
      kept.push_back(decoded_value(raw));
    return false;
  });
  if (out_.error) return false;
  for (const auto& value : kept) values.push_back(value);
  return matches(node, values);
}

void Machine::add_addresses(const Node& node, const std::vector<mime::Address>& addresses,
                            std::vector<std::string>& out) {
  for (const mime::Address& address : addresses) {
    if (address.kind != mime::Address::Kind::kMailbox) continue;
    const std::string whole = address.host.empty() ? address.mailbox : address.mailbox + "@" + address.host;
    if (address.host.empty() && node.part != Tag::kAll) continue;
    if (auto part = address_part(node.part, address.mailbox, address.host, whole)) out.push_back(*std::move(part));
  }
}

bool Machine::test_address(const Node& node) {
  std::vector<std::string> kept;
  each_field(node, node.args[0], [&](Message::Field* field, std::string_view, std::string_view raw) {
    if (step(node, 1 + raw.size() / 64))
      add_addresses(node, field != nullptr ? message_.addresses(*field) : addresses_in(raw), kept);
    return false;
  });
  return !out_.error && matches(node, {kept.begin(), kept.end()});
}

bool Machine::test_exists(const Node& node) {
  // RFC 5228 5.5: all of them
  for (const Text& text : node.args[0].texts)
    if (!each_field(node, {{text}, 0, node.at}, [](auto&&...) { return true; })) return false;
  return true;
}

bool Machine::test_envelope(const Node& node) {
  if (options_.imap_event) {
    fail(node, "IMAP events have no envelope");  // RFC 6785 4.6
    return false;
  }
  std::vector<std::string> kept;
  const auto add = [&](std::string_view address) {
    // RFC 5228 5.4: the null reverse-path is "" for every part
    if (address.empty()) return kept.emplace_back(), void();
    const std::size_t at = std::min(address.rfind('@'), address.size());
    const std::string_view domain = at < address.size() ? address.substr(at + 1) : std::string_view();
    if (auto part = address_part(node.part, address.substr(0, at), domain, std::string(address)))
      kept.push_back(*std::move(part));
  };
  const auto add_if = [&](const std::string& value) {
    if (!value.empty()) kept.push_back(value);
  };
  const bool dsn = frames_.back().program->has("envelope-dsn");
  for (const Text& text : node.args[0].texts) {
    const std::string name = mime::to_lower(expand(text));
    if (name == "from") {
      add(envelope_.from);
    } else if (name == "to") {
      add(envelope_.to);
    } else if (name == "auth") {
      add_if(envelope_.auth);
    } else if (dsn && name == "notify") {
      kept.insert(kept.end(), envelope_.notify.begin(), envelope_.notify.end());  // RFC 6009 2
    } else if (dsn && name == "orcpt") {
      add_if(envelope_.orcpt);
    } else if (dsn && name == "ret") {
      add_if(envelope_.ret);
    } else if (dsn && name == "envid") {
      add_if(envelope_.envid);
    } else {
      fail(node, "the envelope has no part \"" + name + "\"");
      return false;
    }
  }
  return matches(node, {kept.begin(), kept.end()});
}

bool Machine::test_body(const Node& node) {
  if (!step(node, 1 + message_.raw().size() / 256)) return false;
  if (node.has(Tag::kRaw)) return matches(node, {message_.raw_body()});
  const Value* content = node.find(Tag::kContent);
  const std::vector<std::string> types = content == nullptr ? std::vector<std::string>() : expand(*content);
  const auto& texts = message_.body_texts(content == nullptr ? nullptr : &types);
  return matches(node, {texts.begin(), texts.end()});
}

}  // namespace merpati::sieve
