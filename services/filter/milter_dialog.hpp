// MilterDialog: one SMTP connection in front of all milters of its listener, in their order: the first that does not
// let it go on decides, and each sees what those before it have changed.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "filter/milter_session.hpp"

namespace merpati::filter {

using MilterSeats = std::vector<std::shared_ptr<MilterSeat>>;

/// One coroutine, one thread. Every method fails with kCancelled alone.
class MilterDialog {
 public:
  struct Answer {
    StageAnswer stage;
    std::string milter;  ///< whose it is; empty: all let it go on
  };
  /// `seats`: those that see this listener's mail.
  MilterDialog(const MilterSeats& seats, DialogFacts facts);
  MilterDialog(const MilterDialog&) = delete;
  MilterDialog& operator=(const MilterDialog&) = delete;

  /// What is settled from the next command on: macros that milters may ask for.
  DialogFacts& facts() { return facts_; }

  Task<Answer> connect();
  Task<Answer> helo(std::string name);
  Task<Answer> mail(MilterMail mail);
  Task<Answer> recipient(MilterRecipient recipient);
  Task<Answer> refused_recipient(MilterRecipient recipient);
  Task<Answer> data();
  Task<Answer> unknown(std::string line);
  Task<Answer> content(MilterMessage& message, std::uint64_t size);
  /// The message in hand does not come.
  Task<void> abort();

  WantedEvents wanted() const;
  /// Whether all of them say that mail goes on without them.
  bool accept_without() const;
  /// What they have said since the connection began, of earlier messages only what is not theirs; at most 200.
  const std::vector<MilterNote>& notes() const { return notes_; }

 private:
  template <class Say>
  Task<Answer> each(Say say);
  template <class Say>
  Task<Answer> ends_unless_all_go_on(Say say);
  void add_note(MilterNote note);

  DialogFacts facts_;
  std::vector<MilterNote> notes_;
  std::size_t notes_of_connection_ = 0;
  std::list<MilterSession> sessions_;
};

}  // namespace merpati::filter
