// Tricks of a message's text and header: links (link_checks.hpp) and the author's display name.
#pragma once

#include "filter/engine.hpp"

namespace merpati::filter {

/// A display name in From that shows an address of another domain than the author's.
std::vector<Symbol> check_display_name(std::string_view header_block);

/// Links in the text, of at most `max_text` decoded octets, and the display name. `authentication` may be null. Linear
/// in the message's size. Any thread.
Findings check_content(std::string_view header_block, std::string_view message,
                       const mailauth::Authentication* authentication, std::size_t max_text);

class ContentEngine : public Engine {
 public:
  /// Works on `blocking` where there is much to look at; it outlives the engine.
  ContentEngine(std::size_t max_text, asio::thread_pool& blocking) : max_text_(max_text), blocking_(blocking) {}

  std::string_view name() const override { return "content"; }
  EngineSettings settings() const override { return {std::chrono::seconds(30), WhenUnchecked::kMark}; }
  std::optional<Findings> check_now(const MessageView& view) override;
  Task<Findings> wait_for(const MessageView& view) override;

 private:
  const std::size_t max_text_;
  asio::thread_pool& blocking_;
};

}  // namespace merpati::filter
