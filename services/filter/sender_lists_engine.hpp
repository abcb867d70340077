// The operator's lists of senders (sender_lists.hpp) as an engine.
#pragma once

#include "filter/engine.hpp"
#include "filter/sender_lists.hpp"

namespace merpati::filter {

/// Whether nobody but the domain of `address` can have sent the message under that name: DMARC passed for it, or a
/// signature or SPF's pass belongs to the same registered domain and DMARC does not say otherwise. Null: not known, so
/// no.
bool is_authenticated(std::string_view address, const mailauth::Authentication* authentication);

/// Of mail from outside: looks for the authors (From) and the reverse-path.
class SenderListsEngine : public Engine {
 public:
  explicit SenderListsEngine(SenderLists lists) : lists_(std::move(lists)) {}

  std::string_view name() const override { return "sender_lists"; }
  std::optional<Findings> check_now(const MessageView& view) override;
  Task<Findings> wait_for(const MessageView& view) override;

 private:
  const SenderLists lists_;
};

}  // namespace merpati::filter
