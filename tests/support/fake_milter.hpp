// A milter on loopback: answers each command as a test says, and remembers what it heard.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "merpati/base/guarded.hpp"
#include "merpati/milter/packet.hpp"
#include "merpati/milter/protocol.hpp"

namespace merpati::test {

inline std::string milter_packet(char letter, std::string_view data = {}) {
  std::string out;
  milter::append_packet(out, letter, data);
  return out;
}
/// "550 5.7.1 no" as SMFIR_REPLYCODE.
inline std::string milter_reply(const std::string& text) { return milter_packet('y', text + '\0'); }
/// SMFIR_ADDHEADER, or with an index what `letter` is.
inline std::string milter_header(char letter, const std::string& name, const std::string& value, int index = -1) {
  std::string data;
  if (index >= 0) milter::append_uint32(data, static_cast<std::uint32_t>(index));
  return milter_packet(letter, data + name + '\0' + value + '\0');
}

class FakeMilter {
 public:
  /// What it answers to a command; nothing: it says nothing. A command that is not here is answered by SMFIR_CONTINUE.
  using Answers = std::map<char, std::string>;
  explicit FakeMilter(Answers answers = {}, std::uint32_t steps = 0, std::uint32_t actions = milter::action::kAll,
                      std::string macros = {})
      : answers_(std::move(answers)), steps_(steps), actions_(actions), macros_(std::move(macros)) {
    acceptor_thread_ = std::thread([this] { accept(); });
  }
  ~FakeMilter() {
    stopping_.with([](bool& stopping) { stopping = true; });
    boost::system::error_code ignored;
    boost::asio::ip::tcp::socket wake(context_);
    wake.connect(acceptor_.local_endpoint(), ignored);
    acceptor_thread_.join();
    sockets_.with([](auto& sockets) {
      boost::system::error_code gone;
      for (auto& socket : sockets) socket->shutdown(boost::asio::ip::tcp::socket::shutdown_both, gone);
    });
    for (auto& thread : threads_) thread.join();
  }
  FakeMilter(const FakeMilter&) = delete;
  FakeMilter& operator=(const FakeMilter&) = delete;

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port()); }
  /// Another answer from now on.
  void answer(char command, std::string octets) {
    answers_.with([&](Answers& answers) { answers[command] = std::move(octets); });
  }
  /// Hangs up when it hears this.
  void die_at(char command) {
    dies_at_.with([&](char& at) { at = command; });
  }
  /// Letters of all commands so far, "OCHMRTLNBEQ", those of macros ("D") left out.
  std::string heard() const {
    return packets_.with([](const auto& packets) {
      std::string letters;
      for (const auto& packet : packets)
        if (packet.letter != 'D') letters.push_back(packet.letter);
      return letters;
    });
  }
  /// The same, when these have come; else what has come until a test has to give up.
  std::string heard(const std::string& expected) const {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (heard() != expected && std::chrono::steady_clock::now() < give_up)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return heard();
  }
  /// The data of the last packet of this kind.
  std::string last(char letter) const {
    return packets_.with([letter](const auto& packets) {
      for (auto at = packets.rbegin(); at != packets.rend(); ++at)
        if (at->letter == letter) return at->data;
      return std::string("(nothing)");
    });
  }
  /// Of all packets of this kind, one after the other.
  std::string all(char letter) const {
    return packets_.with([letter](const auto& packets) {
      std::string out;
      for (const auto& packet : packets)
        if (packet.letter == letter) out.append(packet.data);
      return out;
    });
  }

 private:
  using Socket = boost::asio::ip::tcp::socket;

  void accept() {
    for (;;) {
      boost::system::error_code error;
      auto client = std::make_shared<Socket>(context_);
      acceptor_.accept(*client, error);
      if (error || stopping_.with([](bool s) { return s; })) return;
      sockets_.with([&](auto& sockets) { sockets.push_back(client); });
      threads_.emplace_back([this, client] { serve(*client); });
    }
  }

  void serve(Socket& client) {
    milter::PacketReader reader;
    char piece[4096];
    boost::system::error_code error;
    while (!error) {
      auto packet = reader.next();
      if (packet.has_error()) return;
      if (!*packet) {
        const auto count = client.read_some(boost::asio::buffer(piece), error);
        reader.feed({piece, count});
        continue;
      }
      const char letter = (*packet)->letter;
      packets_.with([&](auto& packets) { packets.push_back(**packet); });
      if (letter == dies_at_.with([](char at) { return at; }) || letter == 'Q') break;
      const std::string answer = answer_to(letter);
      if (!answer.empty()) boost::asio::write(client, boost::asio::buffer(answer), error);
    }
    client.shutdown(Socket::shutdown_both, error);  // closed with the others: the destructor may have it in hand
  }

  std::string answer_to(char letter) const {
    const auto set = answers_.with([&](const Answers& answers) {
      const auto found = answers.find(letter);
      return found == answers.end() ? std::pair(false, std::string()) : std::pair(true, found->second);
    });
    if (set.first) return set.second;
    if (letter == 'D' || letter == 'A' || letter == 'K') return {};
    if (letter != 'O') return milter_packet('c');
    std::string options;
    for (const auto word : {milter::kVersion, actions_, steps_}) milter::append_uint32(options, word);
    return milter_packet('O', options + macros_);
  }

  boost::asio::io_context context_;
  boost::asio::ip::tcp::acceptor acceptor_{context_, {boost::asio::ip::make_address("127.0.0.1"), 0}};
  Guarded<Answers> answers_;
  const std::uint32_t steps_, actions_;
  const std::string macros_;
  Guarded<char> dies_at_{'\0'};
  Guarded<std::vector<milter::Packet>> packets_;
  Guarded<std::vector<std::shared_ptr<Socket>>> sockets_;
  Guarded<bool> stopping_{false};
  std::vector<std::thread> threads_;  ///< used by the acceptor's thread, and after it
  std::thread acceptor_thread_;
};

}  // namespace merpati::test
