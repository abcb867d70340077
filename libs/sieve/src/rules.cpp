// What the grammar's tables cannot say of one command or test.
#include <algorithm>

#include "checker.hpp"
#include "compare.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/sieve/capability.hpp"
#include "text.hpp"
#include "values.hpp"

namespace merpati::sieve {

void Checker::finish(const Rule& rule, Node& node) {
  // A command with errors has no complete arguments: what follows would speak about the same mistake again.
  if (node.op == Op::kUnsupported || node.args.size() + static_cast<std::size_t>(rule.optional_args) < rule.args.size())
    return;
  for (const Tag part : {Tag::kLocalpart, Tag::kDomain, Tag::kUser, Tag::kDetail})
    if (node.has(part)) node.part = part;
  if ((rule.shares & kShareMatch) != 0) matching(rule, node);
  if ((rule.shares & kShareIndex) != 0 && node.has(Tag::kLast) && !node.has(Tag::kIndex))
    error(node.find(Tag::kLast)->at, ":last counts an :index from the end, which is missing");  // RFC 5260 6
  if (const auto* index = node.find(Tag::kIndex); index != nullptr && index->number == 0)
    error(index->at, ":index counts from 1");
  if ((rule.shares & kShareMime) != 0) headers_of_mime(node);
  if ((rule.shares & kShareFcc) != 0 && !node.has(Tag::kFcc)) {
    for (const Tag tag : {Tag::kCreate, Tag::kFlags, Tag::kMailboxid, Tag::kSpecialuse})
      if (const auto* given = node.find(tag)) error(given->at, "this needs :fcc beside it");  // RFC 8580 3
  }
  special(node);
  special_mail(node);
}

void Checker::headers_of_mime(Node& node) {
  if (node.has(Tag::kMime)) return;
  for (const Tag tag : {Tag::kAnychild, Tag::kType, Tag::kSubtype, Tag::kContenttype, Tag::kParam})
    if (const auto* given = node.find(tag)) error(given->at, "this needs :mime beside it");  // RFC 5703 4
}

void Checker::comparator(const Value& name, Node& node) {
  const std::string& text = name.texts[0].literal;
  if (text == "i;octet")
    node.matching.comparator = Comparator::kOctet;
  else if (text == "i;ascii-casemap")
    node.matching.comparator = Comparator::kAsciiCasemap;
  else if (text == "i;ascii-numeric")
    node.matching.comparator = Comparator::kAsciiNumeric;
  else if (text == "i;unicode-casemap")
    node.matching.comparator = Comparator::kUnicodeCasemap;
  else
    return unsupported(node, name.at, "there is no comparator \"" + text + "\"");
  // RFC 5228 2.7.3: octet and ascii-casemap need no require
  if (text != "i;octet" && text != "i;ascii-casemap" && !has("comparator-" + text))
    unsupported(node, name.at, "this comparator needs require \"comparator-" + text + "\"");
}

void Checker::matching(const Rule& rule, Node& node) {
  Matching& match = node.matching;
  for (const Tag type : {Tag::kIs, Tag::kContains, Tag::kMatches, Tag::kRegex, Tag::kCount, Tag::kValue, Tag::kList})
    if (node.has(type)) match.type = type;
  if (match.type == Tag::kCount || match.type == Tag::kValue) {
    const Value& relation = *node.find(match.type);
    const auto found = relation_from_name(relation.texts[0].literal);
    if (!found)
      error(relation.at,
            "\"" + relation.texts[0].literal + "\" is no relation: gt, ge, lt, le, eq or ne");  // RFC 5231 4
    else
      match.relation = *found;
  }
  if (const auto* name = node.find(Tag::kComparator)) comparator(*name, node);
  const bool parts = match.type == Tag::kContains || match.type == Tag::kMatches || match.type == Tag::kRegex;
  if (parts && match.comparator == Comparator::kAsciiNumeric)  // RFC 4790 9.1.1: no substrings
    error(node.at, "i;ascii-numeric compares whole numbers only: with :is, :value or :count");
  // RFC 5173 6: the body test sets no match variables
  match.capture =
      has("variables") && rule.op != Op::kBody && (match.type == Tag::kMatches || match.type == Tag::kRegex);
  prepare_keys(node);
}

void Checker::prepare_keys(Node& node) {
  if (node.args.empty() || (node.op == Op::kDeleteheader && node.args.size() < 2)) return;
  const Value& keys = node.args.back();
  for (const Text& key : keys.texts) {
    if (!key.constant()) {
      node.matching.keys.clear();
      return;
    }
    std::string problem;
    node.matching.keys.push_back(prepare_key(node.matching, key.literal, limits_.max_regex_memory, problem));
    if (!problem.empty()) error(key.at, problem);
  }
}

void Checker::header_names(const Value& names) {
  // RFC 5228 2.4.2.2: a name that is none is an error
  for (const Text& name : names.texts)
    if (name.constant() && !is_field_name(name.literal))
      error(name.at, "\"" + name.literal + "\" is no name of a header field");
}

void Checker::set_target(Node& node, Value& name) {
  Text& text = name.texts[0];
  const std::string lower = mime::to_lower(text.literal);
  if (is_identifier(lower)) {
    text.pieces = {{TextPiece::Kind::kVariable, lower, variable(lower)}};
  } else if (has("include") && lower.starts_with("global.") && is_identifier(lower.substr(7))) {
    text.pieces = {{TextPiece::Kind::kGlobal, lower.substr(7), 0}};  // RFC 6609 3.4.2
  } else {
    error(text.at, "\"" + text.literal + "\" is no name of a variable");
  }
}

void Checker::special(Node& node) {
  switch (node.op) {
    case Op::kHeader:
    case Op::kExists:
    case Op::kAddress:
    case Op::kDate:
    case Op::kAddheader:
    case Op::kDeleteheader:
      header_names(node.args[0]);
      break;
    case Op::kSize:
      if (!node.has(Tag::kOver) && !node.has(Tag::kUnder)) error(node.at, "size needs :over or :under");
      break;
    case Op::kSet:
      set_target(node, node.args[0]);
      break;
    case Op::kExtracttext:
      if (!has("variables")) error(node.at, "extracttext needs require \"variables\"");  // RFC 5703 7
      if (loops_.empty()) error(node.at, "extracttext stands inside of foreverypart");
      set_target(node, node.args[0]);
      break;
    case Op::kGlobal:
      if (!has("variables")) error(node.at, "global needs require \"variables\"");  // RFC 6609 3.4.1
      for (const Text& name : node.args[0].texts) {
        if (!is_identifier(name.literal))
          error(name.at, "\"" + name.literal + "\" is no name of a variable");
        else
          variable(mime::to_lower(name.literal));
      }
      break;
    case Op::kBreak: {
      const Value* name = node.find(Tag::kName);
      if (loops_.empty())
        error(node.at, "break stands inside of foreverypart");
      else if (name != nullptr && std::ranges::find(loops_, name->texts[0].literal) == loops_.end())
        error(name->at, "there is no foreverypart named \"" + name->texts[0].literal + "\" around this break");
      break;
    }
    case Op::kIhave:
      // RFC 5463 4: what is there counts as required from here on
      for (const Text& name : node.args[0].texts)
        if (has_capability(name.literal)) add_capability(name.literal, program_->tested);
      break;
    case Op::kInclude:
      if (!is_script_name(node.args[0].texts[0].literal)) error(node.args[0].at, "this is no name of a script");
      break;
    default:
      break;
  }
  const bool with_container =
      (node.op == Op::kHasflag || node.op == Op::kSetflag || node.op == Op::kAddflag || node.op == Op::kRemoveflag) &&
      node.args.size() == 2;
  if (!with_container) return;
  if (!has("variables")) return error(node.at, "the name of a variable needs require \"variables\"");  // RFC 5232 2
  for (Text& name : node.args[0].texts) {
    Value one{{name}, 0, name.at};
    if (!name.constant())
      error(name.at, "the name of a variable is expected here");
    else
      set_target(node, one);
    name = one.texts[0];
  }
}

void Checker::special_mail(Node& node) {
  const auto constant_of = [](const Value* value) {
    return value != nullptr && value->texts[0].constant() ? &value->texts[0].literal : nullptr;
  };
  if (node.op == Op::kRedirect) {
    const auto* target = constant_of(node.has(Tag::kRedirectList) ? nullptr : &node.args[0]);
    if (target != nullptr && !is_mail_address(*target))
      error(node.args[0].at, "\"" + *target + "\" is no mail address");
    if (const auto* mode = constant_of(node.find(Tag::kBymode));
        mode != nullptr && mime::to_lower(*mode) != "notify" && mime::to_lower(*mode) != "return")
      error(node.find(Tag::kBymode)->at, ":bymode is \"notify\" or \"return\"");  // RFC 6009 4
    const bool by = node.has(Tag::kBytimerelative) || node.has(Tag::kBytimeabsolute);
    if (!by && (node.has(Tag::kBymode) || node.has(Tag::kBytrace)))
      error(node.at, ":bymode and :bytrace need :bytimerelative or :bytimeabsolute");
    if (const auto* ret = constant_of(node.find(Tag::kRet));
        ret != nullptr && mime::to_lower(*ret) != "full" && mime::to_lower(*ret) != "hdrs")
      error(node.find(Tag::kRet)->at, ":ret is \"FULL\" or \"HDRS\"");
    if (const auto* notify = constant_of(node.find(Tag::kNotifyDsn)); notify != nullptr && !is_dsn_notify(*notify))
      error(node.find(Tag::kNotifyDsn)->at, ":notify is \"NEVER\", or SUCCESS, FAILURE, DELAY joined by commas");
  }
  if (node.op == Op::kVacation) {
    if (const auto* from = constant_of(node.find(Tag::kFrom)); from != nullptr && !is_mail_address(*from))
      error(node.find(Tag::kFrom)->at, "\"" + *from + "\" is no mail address");
  }
  if (node.op == Op::kNotify) {
    const auto* method = constant_of(&node.args[0]);
    if (method != nullptr && !is_mailto(*method))
      error(node.args[0].at, "\"" + *method + "\" is no way to notify: mailto: with an address");  // RFC 5436 2.1
    const auto* importance = constant_of(node.find(Tag::kImportance));
    if (importance != nullptr && *importance != "1" && *importance != "2" && *importance != "3")
      error(node.find(Tag::kImportance)->at, ":importance is \"1\", \"2\" or \"3\"");
  }
  if (node.op == Op::kEnvelope) {
    for (const Text& part : node.args[0].texts)
      if (part.constant() && !is_envelope_part(part.literal, has("envelope-dsn")))
        error(part.at, "the envelope has no part \"" + part.literal + "\"");  // RFC 5228 5.4
  }
  if (node.op == Op::kAddheader && constant_of(&node.args[1]) != nullptr &&
      !is_field_value(node.args[1].texts[0].literal))
    error(node.args[1].at, "this is no value of a header field");
}

}  // namespace merpati::sieve
