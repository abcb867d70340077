#include "filter/arc_stage.hpp"

#include <algorithm>

#include "filter/stored_message.hpp"
#include "merpati/mailauth/authenticate.hpp"
#include "merpati/mime/header.hpp"
#include "merpati/mime/header_edit.hpp"

namespace merpati::filter {
namespace {

using Edits = google::protobuf::RepeatedPtrField<v1::HeaderEdit>;

// What stands in front of a message has at most 8 KiB, of which a Received field needs some.
constexpr std::size_t kMostPrefix = 8 * 1024 - 768;
constexpr std::size_t kSignatures = 1800;  // octets of a seal and a message signature

bool may_go(v1::Decision decision) { return decision == v1::DECISION_ACCEPT || decision == v1::DECISION_JUNK; }

std::string prepended(const Edits& edits) {
  std::string out;
  for (const auto& edit : edits)
    if (edit.kind() == v1::HeaderEdit::KIND_PREPEND)
      out.append(edit.name()).append(": ").append(edit.value()).append("\r\n");
  return out;
}

std::string edited(std::string_view header, const Edits& edits) {
  std::vector<mime::HeaderEdit> changes;
  for (const auto& edit : edits) {
    if (edit.kind() == v1::HeaderEdit::KIND_PREPEND) continue;
    const bool deletes = edit.kind() == v1::HeaderEdit::KIND_DELETE;
    changes.push_back({deletes ? mime::HeaderEdit::Kind::kDelete : mime::HeaderEdit::Kind::kReplace, edit.name(),
                       static_cast<std::size_t>(edit.index()), edit.value()});
  }
  return changes.empty() ? std::string(header) : mime::edit_header_block(header, changes);
}

/// The methods of our own Authentication-Results, which stands in what we prepend; "none" without one.
std::string own_results(const std::string& prefix, const std::string& name, std::size_t most) {
  const std::string own[] = {name};
  const auto indexes = mailauth::forged_results(prefix, own);
  if (indexes.empty()) return "none";
  std::size_t index = 0;
  mime::FieldReader reader(prefix);
  for (mime::Field field; reader.next(field);) {
    if (!mime::iequals(field.name, "Authentication-Results") || ++index != indexes.front()) continue;
    const auto semicolon = field.value.find(';');
    if (semicolon == std::string_view::npos) break;
    auto methods = mime::trim(field.value.substr(semicolon + 1));
    // The last ones go first: one stands on each line.
    while (methods.size() > most) {
      const auto last = methods.rfind(";\r\n ");
      if (last == std::string_view::npos) return "none";
      methods = methods.substr(0, last);
    }
    return std::string(methods);
  }
  return "none";
}

void put_on_top(const ArcSealer::Fields& fields, Edits& edits) {
  Edits all;
  for (const auto& field : fields) *all.Add() = field;
  all.MergeFrom(edits);
  edits.Swap(&all);
}

}  // namespace

ArcStage::ArcStage(ArcSealer sealer, std::string authserv_id, std::shared_ptr<rpc::Channel> store,
                   std::uint64_t max_size)
    : sealer_(std::move(sealer)), authserv_id_(std::move(authserv_id)), store_(std::move(store)), max_size_(max_size) {}

std::vector<ArcStage::Departure> ArcStage::departures(v1::CheckMessageResponse& response) {
  std::vector<Departure> out;
  if (!may_go(response.decision())) return out;
  for (auto& verdict : *response.mutable_recipients()) {
    if (!may_go(verdict.decision())) continue;
    for (auto& action : *verdict.mutable_actions()) {
      if (!action.has_redirect()) continue;
      auto& redirect = *action.mutable_redirect();
      out.push_back({redirect.mutable_edits(), redirect.has_body() ? &redirect.body() : nullptr});
    }
  }
  for (auto& one : out)
    if (one.body == nullptr && response.has_body()) one.body = &response.body();
  return out;
}

Task<ArcSealer::Known> ArcStage::known(const v1::CheckMessageRequest& request, const MessageView& view,
                                       Deadline deadline) const {
  ArcSealer::Known known;
  known.authserv_id = authserv_id_.empty() ? request.transaction().receiving_host() : authserv_id_;
  if (view.authentication != nullptr && view.authentication->arc) {
    known.chain = *view.authentication->arc;
  } else {
    const ArcSealer::Message received{view.header_block, view.message.substr(view.header_block.size())};
    MERPATI_CO_TRY(known.chain, co_await sealer_.verify(received, deadline));
  }
  co_return known;
}

Task<ArcSealer::Fields> ArcStage::seal_as_it_came(const MessageView& view, const v1::CheckMessageResponse& response,
                                                  const ArcSealer::Known& known, std::size_t room) {
  const std::string header = edited(view.header_block, response.edits());
  const ArcSealer::Message leaving{header, view.message.substr(view.header_block.size())};
  co_return co_await sealer_.seal(leaving, known, room);
}

Task<ArcSealer::Fields> ArcStage::seal_edited(const v1::CheckMessageRequest& request, const MessageView& view,
                                              rpc::CallOptions call, const store::v1::Body& body,
                                              ArcSealer::Known known, std::size_t room) {
  Spool spool;
  std::string_view octets = body.inline_();
  if (!body.has_inline_()) {
    MERPATI_CO_CHECK(spool.open());
    call.cell = request.cell();
    MERPATI_CO_CHECK(co_await read_blob(store_, body.blob_id(), std::move(call), max_size_, spool));
    MERPATI_CO_TRY(octets, spool.view());
  }
  const auto size = mime::header_block_size(octets);
  const std::string header = request.header_prefix() + std::string(octets.substr(0, size));
  // A chain that a script changed cannot be carried on.
  if (arc_fields(header) != arc_fields(view.header_block)) known.chain.sealable = false;
  co_return co_await sealer_.seal({header, octets.substr(size)}, known, room);
}

Task<void> ArcStage::apply(const v1::CheckMessageRequest& request, const MessageView& view, rpc::CallOptions call,
                           v1::CheckMessageResponse& response) {
  const auto leaving = departures(response);
  if (leaving.empty()) co_return Result<void>();
  if (!view.whole) {
    sealer_.count_too_large();
    co_return Result<void>();
  }
  MERPATI_CO_TRY(auto known, co_await this->known(request, view, call.deadline));
  // What we prepend is not signed, as hosts on the way may remove it; but it takes room.
  const std::string prefix = prepended(response.edits()) + request.header_prefix();
  std::size_t taken = 0;
  for (const auto& one : leaving) taken = std::max(taken, prefix.size() + prepended(*one.edits).size());
  const std::size_t room = taken < kMostPrefix ? kMostPrefix - taken : 0;
  known.results = own_results(prefix, known.authserv_id, room > kSignatures ? room - kSignatures : 0);
  std::optional<ArcSealer::Fields> as_it_came;
  for (const auto& one : leaving) {
    if (one.body == nullptr && !as_it_came) {
      MERPATI_CO_TRY(as_it_came, co_await seal_as_it_came(view, response, known, room));
    }
    if (one.body == nullptr) {
      put_on_top(*as_it_came, *one.edits);
      continue;
    }
    auto fields = co_await seal_edited(request, view, call, *one.body, known, room);
    if (fields.has_error() && fields.error().code() == ErrorCode::kCancelled) co_return std::move(fields).error();
    if (fields.has_error())
      sealer_.count_error(fields.error());
    else
      put_on_top(*fields, *one.edits);
  }
  co_return Result<void>();
}

}  // namespace merpati::filter
