#include "s3_exchange.hpp"

namespace merpati::objects {
namespace {

using namespace std::chrono_literals;

constexpr auto kTick = 50ms;
// Ticks without an octet in either direction; counted, so that a stop of our own does not count.
constexpr int kQuietUntilProbe = 5;     // 250 ms
constexpr int kQuietUntilGone = 15;     // 500 ms more
constexpr int kQuietAfterAnswer = -20;  // it is there and slow: asked again a second later

int on_debug(CURL*, curl_infotype type, char*, std::size_t, void* user) {
  if (type == CURLINFO_SSL_DATA_IN || type == CURLINFO_HEADER_IN || type == CURLINFO_DATA_IN)
    *static_cast<bool*>(user) = true;
  return 0;
}

std::size_t swallow(char*, std::size_t, std::size_t size, void*) { return size; }

/// A request that needs no right and no object, on a connection of its own. Any octet is an answer.
class Probe {
 public:
  explicit Probe(const Exchange& exchange) : multi_(exchange.session.multi()), easy_(curl_easy_init()) {
    if (easy_ == nullptr) return;
    curl_easy_setopt(easy_, CURLOPT_URL, (exchange.base + "/").c_str());
    curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy_, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(easy_, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy_, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &swallow);
    curl_easy_setopt(easy_, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(easy_, CURLOPT_DEBUGFUNCTION, &on_debug);
    curl_easy_setopt(easy_, CURLOPT_DEBUGDATA, &answered_);
    if (!exchange.ca_file.empty()) curl_easy_setopt(easy_, CURLOPT_CAINFO, exchange.ca_file.c_str());
    curl_multi_add_handle(multi_, easy_);
  }
  ~Probe() {
    if (easy_ == nullptr) return;
    curl_multi_remove_handle(multi_, easy_);
    curl_easy_cleanup(easy_);
  }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  bool answered() const { return answered_; }

 private:
  CURLM* multi_;
  CURL* easy_;
  bool answered_ = false;
};

/// Octets of the request that have gone and come; a change is a sign of life.
struct Octets {
  curl_off_t up = 0, down = 0;
  long head = 0;
  explicit Octets(CURL* easy) {
    curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &up);
    curl_easy_getinfo(easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
    curl_easy_getinfo(easy, CURLINFO_HEADER_SIZE, &head);
  }
  bool operator==(const Octets&) const = default;
  bool came_after(const Octets& before) const { return down != before.down || head != before.head; }
};

/// The end of the request itself, and not of a probe.
const CURLMsg* end_of(CURLM* multi, CURL* easy) {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left))
    if (message->msg == CURLMSG_DONE && message->easy_handle == easy) return message;
  return nullptr;
}

ExchangeResult watch(const Exchange& exchange) {
  auto* multi = exchange.session.multi();
  auto* easy = exchange.session.easy();
  std::unique_ptr<Probe> probe;
  Octets before(easy);
  for (int quiet = 0;;) {
    int running = 0;
    if (curl_multi_perform(multi, &running) != CURLM_OK) return {CURLE_FAILED_INIT, false};
    const Octets now(easy);
    if (now.came_after(before)) exchange.pulse.heard();
    if (const auto* end = end_of(multi, easy)) return {end->data.result, false};
    if (exchange.closing) return {CURLE_ABORTED_BY_CALLBACK, false};
    if (now != before || exchange.pulse.heard_within(kTick)) {
      quiet = std::min(quiet, 0);
      probe.reset();
    }
    before = now;
    if (probe && probe->answered()) {
      exchange.pulse.heard();
      probe.reset();
      quiet = kQuietAfterAnswer;
    }
    if (quiet == kQuietUntilProbe && !probe) probe = std::make_unique<Probe>(exchange);
    if (quiet >= kQuietUntilGone) {
      exchange.pulse.fell_silent();
      return {CURLE_GOT_NOTHING, true};
    }
    const auto began = std::chrono::steady_clock::now();
    if (curl_multi_poll(multi, nullptr, 0, static_cast<int>(kTick.count()), nullptr) != CURLM_OK)
      return {CURLE_FAILED_INIT, false};
    if (std::chrono::steady_clock::now() - began >= kTick - 5ms) ++quiet;
  }
}

}  // namespace

ExchangeResult run_exchange(const Exchange& exchange) {
  if (curl_multi_add_handle(exchange.session.multi(), exchange.session.easy()) != CURLM_OK)
    return {CURLE_FAILED_INIT, false};
  const auto result = watch(exchange);
  curl_multi_remove_handle(exchange.session.multi(), exchange.session.easy());
  return result;
}

}  // namespace merpati::objects
