// The client against a milter on loopback.
#include "merpati/milter/client.hpp"

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>

#include "support/fake_milter.hpp"
#include "support/loop.hpp"

namespace merpati::milter {
namespace {

using test::FakeMilter;
using test::milter_header;
using test::milter_packet;
using test::milter_reply;
using namespace std::string_literals;

struct MilterClient : testing::Test {
  std::unique_ptr<Client> connected(const FakeMilter& milter, Timeouts timeouts = {}) {
    auto socket = std::make_unique<Client::Socket>(loop.context);
    socket->connect(asio::ip::tcp::endpoint(asio::ip::make_address("127.0.0.1"), milter.port()));
    return std::make_unique<Client>(std::move(socket), timeouts);
  }
  std::unique_ptr<Client> ready(const FakeMilter& milter, Timeouts timeouts = {}) {
    auto client = connected(milter, timeouts);
    const auto settled = loop.run(client->negotiate());
    EXPECT_TRUE(settled.has_value()) << settled.error().describe();
    return client;
  }
  Response end(Client& client, std::vector<Response>& changes) {
    const Client::Change keep = [&](const Response& change) -> Result<void> {
      changes.push_back(change);
      return {};
    };
    auto response = loop.run(client.end_of_message(macros, keep, Deadline::after(std::chrono::seconds(20))));
    EXPECT_TRUE(response.has_value()) << response.error().describe();
    return response.has_value() ? *response : Response{};
  }

  merpati::test::Loop loop;
  const Macros macros = {{"j", "mx.test"}, {"i", "4F"}, {"{rcpt_addr}", "a@b"}, {"{tls_version}", "TLSv1.3"}};
  const ClientInfo peer{"[192.0.2.7]", asio::ip::make_address("192.0.2.7"), 25};
};

TEST_F(MilterClient, SaysTheWholeDialog) {
  FakeMilter milter;
  auto client = ready(milter);
  const std::vector<std::string> none;
  EXPECT_EQ(loop.run(client->connect(peer, macros))->answer, Answer::kContinue);
  EXPECT_EQ(loop.run(client->helo("h", macros))->answer, Answer::kContinue);
  EXPECT_EQ(loop.run(client->mail("s@t", none, macros))->answer, Answer::kContinue);
  EXPECT_EQ(loop.run(client->recipient("a@b", none, macros))->answer, Answer::kContinue);
  EXPECT_EQ(loop.run(client->data(macros))->answer, Answer::kContinue);
  EXPECT_EQ(loop.run(client->unknown("XYZ"))->answer, Answer::kContinue);
  EXPECT_EQ(loop.run(client->header("Subject", " x"))->answer, Answer::kContinue);
  EXPECT_EQ(loop.run(client->end_of_header(macros))->answer, Answer::kContinue);
  EXPECT_EQ(loop.run(client->body("text\r\n"))->answer, Answer::kContinue);
  std::vector<Response> changes;
  EXPECT_EQ(end(*client, changes).answer, Answer::kContinue);
  EXPECT_TRUE(loop.run(client->abort()).has_value());
  EXPECT_EQ(milter.heard().substr(0, 11), "OCHMRTULNBE");
  EXPECT_EQ(milter.all('D'),
            "Cj\0mx.test\0H{tls_version}\0TLSv1.3\0Mi\0004F\0R{rcpt_addr}\0a@b\0Ti\0004F\0Ni\0004F\0Ei\0004F\0"s);
  EXPECT_EQ(milter.last('B'), "text\r\n");
}

TEST_F(MilterClient, LeavesOutWhatTheMilterDoesNotWant) {
  FakeMilter milter({}, step::kNoConnect | step::kNoHelo | step::kNoMail | step::kNoRecipient | step::kNoData |
                            step::kNoUnknown | step::kNoHeaders | step::kNoEndOfHeader | step::kNoBody);
  auto client = ready(milter);
  const std::vector<std::string> none;
  for (const auto& answer :
       {loop.run(client->connect(peer, macros)), loop.run(client->helo("h", macros)),
        loop.run(client->mail("s@t", none, macros)), loop.run(client->recipient("a@b", none, macros)),
        loop.run(client->data(macros)), loop.run(client->unknown("X")), loop.run(client->header("A", "b")),
        loop.run(client->end_of_header(macros)), loop.run(client->body("x"))}) {
    ASSERT_TRUE(answer.has_value());
    EXPECT_FALSE(answer->said);
  }
  std::vector<Response> changes;
  EXPECT_TRUE(end(*client, changes).said);
  EXPECT_EQ(milter.heard(), "OE");
  EXPECT_EQ(milter.all('D'), "Ei\0004F\0"s) << "macros go with their command, or not at all";
}

TEST_F(MilterClient, WaitsForNoAnswerThatDoesNotCome) {
  FakeMilter::Answers mute;
  for (const char command : "CHMRTULNB"s) mute[command] = "";
  FakeMilter milter(mute, step::kNoReplyConnect | step::kNoReplyHelo | step::kNoReplyMail | step::kNoReplyRecipient |
                              step::kNoReplyData | step::kNoReplyUnknown | step::kNoReplyHeader |
                              step::kNoReplyEndOfHeader | step::kNoReplyBody);
  auto client = ready(milter);
  const std::vector<std::string> none;
  EXPECT_TRUE(loop.run(client->connect(peer, macros)).has_value());
  EXPECT_TRUE(loop.run(client->helo("h", macros)).has_value());
  EXPECT_TRUE(loop.run(client->mail("s@t", none, macros)).has_value());
  EXPECT_TRUE(loop.run(client->recipient("a@b", none, macros)).has_value());
  EXPECT_TRUE(loop.run(client->data(macros)).has_value());
  EXPECT_TRUE(loop.run(client->header("A", " b")).has_value());
  EXPECT_TRUE(loop.run(client->end_of_header(macros)).has_value());
  EXPECT_FALSE(loop.run(client->body("x"))->said);
  std::vector<Response> changes;
  EXPECT_TRUE(end(*client, changes).said);
  EXPECT_EQ(milter.heard(), "OCHMRTLNBE");
}

TEST_F(MilterClient, SendsTheMacrosThatTheMilterNames) {
  std::string wanted;
  append_uint32(wanted, static_cast<std::uint32_t>(MacroStage::kHelo));
  FakeMilter milter({}, 0, action::kAll, wanted + "j i\0"s);
  auto client = ready(milter);
  EXPECT_TRUE(loop.run(client->helo("h", macros)).has_value());
  EXPECT_EQ(milter.last('D'), "Hj\0mx.test\0i\0004F\0"s);
}

TEST_F(MilterClient, HearsRefusalsAndChanges) {
  FakeMilter milter({{'C', milter_packet('a')},
                     {'H', milter_packet('t')},
                     {'M', milter_reply("550-5.7.1 a\r\n550 5.7.1 b")},
                     {'R', milter_packet('r')},
                     {'B', milter_packet('s')},
                     {'E', milter_packet('p') + milter_header('h', "X", "y") + milter_header('i', "Y", "z", 0) +
                               milter_header('m', "Subject", "", 1) + milter_packet('b', "new") +
                               milter_packet('+', "c@d\0"s) + milter_packet('-', "a@b\0"s) + milter_packet('p') +
                               milter_packet('e', "<>\0"s) + milter_packet('q', "why\0"s) + milter_packet('d')}});
  auto client = ready(milter);
  const std::vector<std::string> none;
  EXPECT_EQ(loop.run(client->connect(peer, macros))->answer, Answer::kAccept);
  EXPECT_EQ(loop.run(client->helo("h", macros))->answer, Answer::kTempfail);
  EXPECT_EQ(loop.run(client->mail("s@t", none, macros))->text, "a\nb");
  EXPECT_EQ(loop.run(client->recipient("a@b", none, macros))->answer, Answer::kReject);
  EXPECT_EQ(loop.run(client->body("x"))->answer, Answer::kSkip);
  std::vector<Response> changes;
  EXPECT_EQ(end(*client, changes).answer, Answer::kDiscard);
  std::string kinds;
  for (const auto& change : changes) kinds.push_back(static_cast<char>(change.answer));
  EXPECT_EQ(kinds, "himb+-eq");
}

TEST_F(MilterClient, AMilterThatBreaksTheProtocolIsAnError) {
  const std::vector<std::string> none;
  const auto fails = [&](FakeMilter::Answers answers, std::uint32_t actions, const auto& say) {
    FakeMilter milter(std::move(answers), 0, actions);
    auto client = ready(milter);
    const auto answer = loop.run(say(*client));
    EXPECT_TRUE(answer.has_error());
    return answer.has_error() ? answer.error().code() : ErrorCode::kUnknown;
  };
  const auto mail = [&](Client& client) { return client.mail("s@t", none, macros); };
  const Client::Change any = [](const Response&) -> Result<void> { return {}; };
  const Client::Change refuses = [](const Response&) -> Result<void> {
    return Error(ErrorCode::kResourceExhausted, "x");
  };
  const auto over = [&](const Client::Change& change) {
    return [&](Client& client) { return client.end_of_message(macros, change, Deadline::never()); };
  };
  EXPECT_EQ(fails({{'M', milter_packet('s')}}, action::kAll, mail), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(fails({{'M', milter_header('h', "X", "y")}}, action::kAll, mail), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(fails({{'M', "\0\0\0\0"s}}, action::kAll, mail), ErrorCode::kInvalidArgument);
  EXPECT_EQ(fails({{'M', milter_packet('Z')}}, action::kAll, mail), ErrorCode::kInvalidArgument);
  EXPECT_EQ(fails({{'E', milter_header('h', "X", "y")}}, 0, over(any)), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(fails({{'E', milter_packet('s')}}, action::kAll, over(any)), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(fails({{'E', milter_header('h', "X", "y")}}, action::kAll, over(refuses)), ErrorCode::kResourceExhausted);
}

TEST_F(MilterClient, OneThatIsGoneSilentOrOfAnotherVersionIsAnError) {
  const Timeouts soon{std::chrono::milliseconds(50), std::chrono::milliseconds(50), std::chrono::milliseconds(50),
                      std::chrono::milliseconds(50)};
  FakeMilter silent({{'O', ""}});
  EXPECT_EQ(loop.run(connected(silent, soon)->negotiate()).error().code(), ErrorCode::kDeadlineExceeded);
  FakeMilter young({{'O', milter_packet('O', "\0\0\0\7\0\0\0\0\0\0\0\0"s)}});
  EXPECT_EQ(loop.run(connected(young)->negotiate()).error().code(), ErrorCode::kFailedPrecondition);
  FakeMilter other({{'O', milter_packet('c')}});
  EXPECT_EQ(loop.run(connected(other)->negotiate()).error().code(), ErrorCode::kFailedPrecondition);
  FakeMilter mortal;
  auto client = ready(mortal);
  mortal.die_at('H');
  EXPECT_EQ(loop.run(client->helo("h", macros)).error().code(), ErrorCode::kUnavailable);
}

TEST_F(MilterClient, SaysQuitAtItsEnd) {
  FakeMilter milter;
  ready(milter).reset();
  EXPECT_EQ(milter.heard("OQ"), "OQ");
}

}  // namespace
}  // namespace merpati::milter
