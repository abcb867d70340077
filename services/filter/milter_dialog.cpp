#include "filter/milter_dialog.hpp"

#include <algorithm>

namespace merpati::filter {
namespace {

using Kind = StageAnswer::Kind;

constexpr std::size_t kMostNotes = 200;

}  // namespace

MilterDialog::MilterDialog(const MilterSeats& seats, DialogFacts facts) : facts_(std::move(facts)) {
  for (const auto& seat : seats)
    sessions_.emplace_back(seat, facts_, [this](MilterNote note) { add_note(std::move(note)); });
}

void MilterDialog::add_note(MilterNote note) {
  if (notes_.size() < kMostNotes) notes_.push_back(std::move(note));
}

template <class Say>
Task<MilterDialog::Answer> MilterDialog::each(Say say) {
  for (MilterSession& session : sessions_) {
    MERPATI_CO_TRY(auto stage, co_await say(session));
    if (stage.kind != Kind::kGoOn) co_return Answer{std::move(stage), session.seat().name()};
  }
  co_return Answer{};
}

/// Who has let it go on is told that the message does not come.
template <class Say>
Task<MilterDialog::Answer> MilterDialog::ends_unless_all_go_on(Say say) {
  MERPATI_CO_TRY(auto answer, co_await each(std::move(say)));
  if (answer.stage.kind != Kind::kGoOn) MERPATI_CO_CHECK(co_await abort());
  co_return answer;
}

Task<MilterDialog::Answer> MilterDialog::connect() {
  auto answer = co_await each([](MilterSession& session) { return session.connect(); });
  notes_of_connection_ = notes_.size();
  co_return answer;
}

Task<MilterDialog::Answer> MilterDialog::helo(std::string name) {
  MERPATI_CO_CHECK(co_await abort());  // RFC 5321 4.1.4
  facts_.helo = std::move(name);
  auto answer = co_await each([](MilterSession& session) { return session.helo(); });
  notes_of_connection_ = notes_.size();
  co_return answer;
}

Task<MilterDialog::Answer> MilterDialog::mail(MilterMail mail) {
  notes_.resize(std::min(notes_.size(), notes_of_connection_));
  const auto say = [&mail](MilterSession& session) { return session.mail(mail); };
  co_return co_await ends_unless_all_go_on(say);
}

Task<MilterDialog::Answer> MilterDialog::recipient(MilterRecipient recipient) {
  const auto say = [&recipient](MilterSession& session) { return session.recipient(recipient); };
  MERPATI_CO_TRY(auto answer, co_await each(say));
  if (answer.stage.kind == Kind::kDiscard) MERPATI_CO_CHECK(co_await abort());
  co_return answer;
}

Task<MilterDialog::Answer> MilterDialog::refused_recipient(MilterRecipient recipient) {
  const auto say = [&recipient](MilterSession& session) { return session.refused_recipient(recipient); };
  co_return co_await each(say);
}

Task<MilterDialog::Answer> MilterDialog::data() {
  const auto say = [](MilterSession& session) { return session.data(); };
  co_return co_await ends_unless_all_go_on(say);
}

Task<MilterDialog::Answer> MilterDialog::unknown(std::string line) {
  const auto say = [&line](MilterSession& session) { return session.unknown(line); };
  co_return co_await each(say);
}

Task<MilterDialog::Answer> MilterDialog::content(MilterMessage& message, std::uint64_t size) {
  const auto say = [&message, size](MilterSession& session) { return session.content(message, size); };
  co_return co_await ends_unless_all_go_on(say);
}

Task<void> MilterDialog::abort() {
  for (MilterSession& session : sessions_) MERPATI_CO_CHECK(co_await session.abort());
  co_return Result<void>();
}

WantedEvents MilterDialog::wanted() const {
  WantedEvents wanted;
  for (const MilterSession& session : sessions_) session.add_wanted(wanted);
  return wanted;
}

bool MilterDialog::accept_without() const {
  return std::ranges::all_of(sessions_, [](const MilterSession& session) {
    return session.seat().settings().when_unchecked != WhenUnchecked::kTemporary;
  });
}

}  // namespace merpati::filter
