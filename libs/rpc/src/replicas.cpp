#include "replicas.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <cstring>
#include <random>
#include <set>

#include "grpc_credentials.hpp"
#include "grpc_process.hpp"
#include "merpati/runtime/log.hpp"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

namespace merpati::rpc {

namespace {

// FNV-1a and a finishing mix: stable over processes, so that all edges agree which replica an account prefers.
std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t h = 14695981039346656037ULL;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return mix(h);
}

constexpr std::chrono::nanoseconds kUntilFirst = std::chrono::milliseconds(250);

/// From a connection that could not be opened to the next attempt: none after the first, then 100 ms, 200 ms and so on,
/// up to 1 s. Meanwhile calls fail at once rather than wait for one more connection that is not answered.
std::chrono::milliseconds pause_after(int failures, bool urgent) {
  if (failures == 0) return std::chrono::milliseconds(0);
  if (urgent) return std::chrono::milliseconds(50);
  return std::min(std::chrono::milliseconds(1000), std::chrono::milliseconds(50 << std::min(failures, 5)));
}

std::int64_t ticks(SteadyTime time) { return time.time_since_epoch().count(); }

struct HostPort {
  std::string host, port;
};

std::vector<HostPort> parse_targets(const std::string& target) {
  std::vector<HostPort> out;
  std::size_t at = 0;
  while (at <= target.size()) {
    const std::size_t end = std::min(target.find(',', at), target.size());
    std::string one = target.substr(at, end - at);
    at = end + 1;
    std::erase(one, ' ');
    const std::size_t colon = one.rfind(':');
    if (colon == std::string::npos || colon == 0) continue;
    std::string host = one.substr(0, colon);
    if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    out.push_back({host, one.substr(colon + 1)});
  }
  return out;
}

// Addresses in gRPC's form: "ipv4:10.0.0.1:50051", "ipv6:[::1]:50051".
void look_up(const HostPort& target, int flags, std::set<std::string>& out) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(target.host.c_str(), target.port.c_str(), &hints, &found) != 0) return;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    char host[NI_MAXHOST];
    if (getnameinfo(each->ai_addr, each->ai_addrlen, host, sizeof host, nullptr, 0, NI_NUMERICHOST) != 0) continue;
    if (each->ai_family == AF_INET) out.insert(std::string("ipv4:") + host + ":" + target.port);
    if (each->ai_family == AF_INET6) out.insert(std::string("ipv6:[") + host + "]:" + target.port);
  }
  freeaddrinfo(found);
}

/// Of an address as look_up() writes it; nothing for a name.
std::optional<asio::ip::tcp::endpoint> endpoint_of(const std::string& address) {
  if (!address.starts_with("ipv4:") && !address.starts_with("ipv6:")) return std::nullopt;
  const auto parts = parse_targets(address.substr(5));
  if (parts.size() != 1) return std::nullopt;
  boost::system::error_code error;
  const auto host = asio::ip::make_address(parts.front().host, error);
  if (error) return std::nullopt;
  return asio::ip::tcp::endpoint(host, static_cast<std::uint16_t>(std::atoi(parts.front().port.c_str())));
}

}  // namespace

Replica::Replica(std::string address, const NetworkChannelOptions& options, std::shared_ptr<MuxClientTls> tls)
    : address_(std::move(address)),
      hash_(hash_of(address_)),
      options_(options),
      tls_(std::move(tls)),
      endpoint_(endpoint_of(address_)),
      channel_(connect()) {}

void Replica::close() {
  std::lock_guard lock(mutex_);
  for (auto& link : std::exchange(links_, {}))
    if (link.client) asio::post(link.executor, [client = std::move(link.client)] { client->close(); });
}

std::shared_ptr<grpc::Channel> Replica::connect() const {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(options_.max_message_bytes);
  arguments.SetMaxSendMessageSize(options_.max_message_bytes);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 700);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(options_.ping_after.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(options_.ping_timeout.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // ours know what is idempotent
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address_, channel_credentials(options_.credentials, options_.server_role),
                                   arguments);
}

std::shared_ptr<MuxClient> Replica::mux(const asio::any_io_executor& executor, bool urgent) {
  using State = MuxClient::State;
  if (!endpoint_) return nullptr;
  auto* loop = &asio::query(executor, asio::execution::context);
  std::lock_guard lock(mutex_);
  auto found = std::find_if(links_.begin(), links_.end(), [&](const Link& link) { return link.loop == loop; });
  if (found == links_.end()) {
    links_.push_back({loop, executor, nullptr});
    found = links_.end() - 1;
  }
  auto& link = *found;
  if (link.client) {
    const auto state = link.client->state();
    if (state == State::kOpen) link.failures = 0;
    // Not when it has ended: what listens there now is another process.
    if (state == State::kOpen && link.client->draining())
      drain_until_ = ticks(std::chrono::steady_clock::now() + std::chrono::seconds(5));
    if (state == State::kNew || state == State::kOpen) return link.client;
    if (state == State::kNeverOpened) {
      const auto since = std::chrono::steady_clock::now() - link.client->ended_at();
      if (since < pause_after(link.failures, urgent)) return link.client;
      ++link.failures;
    }
  }
  link.client = open_mux(*endpoint_, tls_, executor, [weak = weak_from_this(), executor] {
    if (const auto self = weak.lock()) self->ask_siblings(executor);
  });
  return link.client;
}

void Replica::set_siblings(std::vector<std::weak_ptr<Replica>> siblings) {
  std::lock_guard lock(mutex_);
  siblings_ = std::move(siblings);
}

void Replica::ask_siblings(const asio::any_io_executor& executor) {
  std::vector<std::weak_ptr<Replica>> siblings;
  {
    std::lock_guard lock(mutex_);
    siblings = siblings_;
  }
  for (const auto& weak : siblings) {
    const auto sibling = weak.lock();
    if (const auto client = sibling ? sibling->mux(executor, false) : nullptr) client->ask();
  }
}

bool Replica::avoided(SteadyTime now) const { return ticks(now) < std::max(avoid_until_.load(), drain_until_.load()); }

void Replica::succeeded() {
  if (failures_.load(std::memory_order_relaxed) == 0) return;
  failures_ = 0;
  avoid_until_ = 0;
}

void Replica::failed() {
  const auto now = std::chrono::steady_clock::now();
  if (ticks(now) < avoid_until_) return;
  const int failures = ++failures_;
  if (failures < 3) return;
  const auto wait = std::chrono::seconds(1 << std::min(failures - 3, 2));
  avoid_until_ = ticks(now + wait);
  log::info("rpc_replica_avoided", "a replica failed repeatedly and is avoided for a while",
            {{"replica", address_}, {"failures", failures}, {"seconds", static_cast<std::int64_t>(wait.count())}});
}

Replicas::Replicas(NetworkChannelOptions options) : options_(std::move(options)), list_(std::make_shared<List>()) {
  prepare_grpc();
  if (options_.credentials) tls_ = std::make_shared<MuxClientTls>(*options_.credentials, options_.server_role);
  if (!options_.balance) {
    auto one = std::make_shared<List>();
    one->push_back(std::make_shared<Replica>("dns:///" + options_.target, options_, tls_));
    list_ = std::move(one);
    return;
  }
  std::set<std::string> literal;
  const auto targets = parse_targets(options_.target);
  for (const auto& target : targets) {
    const auto before = literal.size();
    look_up(target, AI_NUMERICHOST, literal);
    if (literal.size() == before) has_names_ = true;
  }
  resolve();
  if (has_names_) resolver_ = std::thread([this] { run(); });
}

Replicas::~Replicas() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopping_.notify_all();
  if (resolver_.joinable()) resolver_.join();
  for (const auto& replica : *list_) replica->close();
  for (const auto& replica : left_) replica->close();
}

void Replicas::run() {
  std::unique_lock lock(mutex_);
  // Where everything starts at once, a name comes into being a moment after who asks for it.
  const auto pause = [this] {
    return list_->empty() ? std::min(options_.resolve_every, kUntilFirst) : options_.resolve_every;
  };
  while (!stopping_.wait_for(lock, pause(), [this] { return stop_; })) {
    lock.unlock();
    resolve();
    lock.lock();
  }
}

void Replicas::resolve() {
  std::set<std::string> addresses;
  for (const auto& target : parse_targets(options_.target)) look_up(target, 0, addresses);
  std::shared_ptr<const List> old;
  {
    std::lock_guard lock(mutex_);
    old = list_;
  }
  if (addresses.empty()) {  // the name service is down: what we know is better than nothing
    if (old->empty() && std::exchange(said_unresolved_, true)) return;
    log::info("rpc_target_unresolved", "no address found; those known before stay in use",
              {{"target", options_.target}});
    return;
  }
  auto fresh = std::make_shared<List>();
  for (const auto& address : addresses) {
    const auto same = std::find_if(old->begin(), old->end(), [&](const auto& r) { return r->address() == address; });
    fresh->push_back(same != old->end() ? *same : std::make_shared<Replica>(address, options_, tls_));
  }
  for (const auto& replica : *old)
    if (std::find(fresh->begin(), fresh->end(), replica) == fresh->end()) left_.push_back(replica);
  std::erase_if(left_, [](const auto& replica) {
    const bool idle = replica->in_flight == 0;
    if (idle) replica->close();
    return idle;
  });
  for (const auto& replica : *fresh) {
    std::vector<std::weak_ptr<Replica>> siblings;
    for (const auto& other : *fresh)
      if (other != replica) siblings.push_back(other);
    replica->set_siblings(std::move(siblings));
  }
  std::lock_guard lock(mutex_);
  list_ = std::move(fresh);
}

std::vector<std::shared_ptr<Replica>> Replicas::all() {
  std::lock_guard lock(mutex_);
  return *list_;
}

std::shared_ptr<Replica> Replicas::pick(std::int64_t account_id,
                                        const std::vector<std::shared_ptr<Replica>>& not_these) {
  std::shared_ptr<const List> list;
  {
    std::lock_guard lock(mutex_);
    list = list_;
  }
  if (list->size() == 1) return list->front();
  thread_local std::minstd_rand random(std::random_device{}());
  const std::uint64_t key = account_id != 0 ? static_cast<std::uint64_t>(account_id) : random();
  const auto now = std::chrono::steady_clock::now();
  int total = 0;
  for (const auto& replica : *list) total += replica->in_flight;
  // Twice its share and 32 more: then the next in the account's order takes the call.
  const int limit = 2 * total / static_cast<int>(std::max<std::size_t>(1, list->size())) + 32;

  const std::shared_ptr<Replica>* best = nullptr;
  int best_rank = 0;
  std::uint64_t best_weight = 0;
  for (const auto& replica : *list) {
    const bool tried = std::find(not_these.begin(), not_these.end(), replica) != not_these.end();
    // When all are avoided or overloaded, the order among them still holds.
    const int rank = (tried ? 0 : 4) + (replica->avoided(now) ? 0 : 2) + (replica->in_flight > limit ? 0 : 1);
    const std::uint64_t weight = mix(key * 0x9e3779b97f4a7c15ULL ^ replica->hash());
    if (best == nullptr || rank > best_rank || (rank == best_rank && weight > best_weight)) {
      best = &replica;
      best_rank = rank;
      best_weight = weight;
    }
  }
  return best == nullptr ? nullptr : *best;
}

}  // namespace merpati::rpc
