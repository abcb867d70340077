#include "merpati/dns/unbound_resolver.hpp"

#include <unbound.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <mutex>
#include <unordered_set>

#include "merpati/base/wakeup.hpp"

namespace merpati::dns {
namespace {
constexpr int kTypeA = 1, kTypePtr = 12, kTypeMx = 15, kTypeTxt = 16, kTypeAaaa = 28, kClassIn = 1;
constexpr int kNoError = 0, kNxDomain = 3;

struct ResultFree {
  void operator()(ub_result* result) const { ub_resolve_free(result); }
};
using UbResult = std::unique_ptr<ub_result, ResultFree>;

// One lookup in flight. Filled on the home executor, read by the waiter after its wake-up.
struct Pending {
  Wakeup done;
  std::mutex mutex;
  bool finished = false;
  bool refused = false;
  int error = 0;
  UbResult result;
};

struct Raw {
  bool refused = false;
  int error = -1;
  UbResult result;
};

// A name in wire form; "" for the root.
std::string read_name(std::string_view wire) {
  std::string out;
  while (!wire.empty()) {
    const auto size = static_cast<unsigned char>(wire[0]);
    if (size == 0 || size > 63 || wire.size() < size + 1u) break;
    if (!out.empty()) out.push_back('.');
    for (char c : wire.substr(1, size)) out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
    wire.remove_prefix(size + 1u);
  }
  return out;
}

std::vector<std::string_view> records_of(const ub_result& result) {
  std::vector<std::string_view> out;
  for (int i = 0; result.data && result.data[i]; ++i) {
    out.emplace_back(result.data[i], static_cast<std::size_t>(result.len[i]));
  }
  return out;
}

template <class T>
Answer<T> answer_of(const Raw& raw) {
  Answer<T> out;
  if (!raw.result && raw.error == UB_SYNTAX) {  // too long: no failure that would pass, and strangers make up names
    out.status = Status::kNoName;
    out.reason = "no name that DNS can have";
    return out;
  }
  if (!raw.result) {
    if (raw.refused)
      out.reason = "too many DNS lookups are in flight";
    else
      out.reason = raw.error > 0 || raw.error < -1 ? ub_strerror(raw.error) : "no answer in time";
    return out;
  }
  const ub_result& result = *raw.result;
  out.secure = result.secure != 0;
  out.ttl = std::chrono::seconds(result.ttl);
  if (result.bogus) {
    out.status = Status::kBogus;
    out.reason = result.why_bogus ? result.why_bogus : "DNSSEC validation failed";
  } else if (result.nxdomain || result.rcode == kNxDomain) {
    out.status = Status::kNoName;
    out.reason = "no such name";
  } else if (result.rcode != kNoError) {
    out.status = Status::kTemporary;
    out.reason = "DNS error code " + std::to_string(result.rcode);
  } else {
    out.status = result.havedata ? Status::kFound : Status::kNoData;
    if (!result.havedata) out.reason = "no such record";
  }
  return out;
}

void read_addresses(const ub_result& result, Family family, std::vector<IpAddress>& out) {
  for (const std::string_view data : records_of(result)) {
    boost::asio::ip::address_v4::bytes_type v4;
    boost::asio::ip::address_v6::bytes_type v6;
    if (family == Family::kV4 && data.size() == v4.size()) {
      std::copy(data.begin(), data.end(), v4.begin());
      out.emplace_back(boost::asio::ip::address_v4(v4));
    } else if (family == Family::kV6 && data.size() == v6.size()) {
      std::copy(data.begin(), data.end(), v6.begin());
      out.emplace_back(boost::asio::ip::address_v6(v6));
    }
  }
}

// How bad an answer is for one who needs either of two.
int rank(Status status) {
  switch (status) {
    case Status::kFound:
      return 0;
    case Status::kNoName:
      return 1;
    case Status::kNoData:
      return 2;
    case Status::kTemporary:
      return 3;
    case Status::kBogus:
      return 4;
  }
  return 3;
}

class UnboundResolver : public Resolver {
 public:
  UnboundResolver(asio::any_io_executor home, ub_ctx* context, std::size_t max_lookups)
      : core_(std::make_shared<Core>(home, context, max_lookups)) {}
  ~UnboundResolver() override { core_->close(); }

  void start() { core_->watch(); }

  Task<Answer<Mx>> mx(std::string name, Deadline deadline) override {
    MERPATI_CO_TRY(const Raw raw, co_await lookup(std::move(name), kTypeMx, deadline));
    auto answer = answer_of<Mx>(raw);
    if (answer.status == Status::kFound) {
      for (const std::string_view data : records_of(*raw.result)) {
        if (data.size() < 3) continue;
        const auto preference =
            static_cast<std::uint16_t>(static_cast<unsigned char>(data[0]) << 8 | static_cast<unsigned char>(data[1]));
        answer.records.push_back({preference, read_name(data.substr(2))});
      }
      std::stable_sort(answer.records.begin(), answer.records.end(),
                       [](const Mx& a, const Mx& b) { return a.preference < b.preference; });
    }
    co_return answer;
  }

  Task<Answer<IpAddress>> addresses(std::string name, Deadline deadline) override {
    const auto v4 = begin(name, kTypeA);
    const auto v6 = begin(name, kTypeAaaa);
    MERPATI_CO_TRY(const Raw raw6, co_await finish(v6, deadline));
    MERPATI_CO_TRY(const Raw raw4, co_await finish(v4, deadline));
    auto answer = answer_of<IpAddress>(raw4);
    auto other = answer_of<IpAddress>(raw6);
    if (other.status == Status::kFound) read_addresses(*raw6.result, Family::kV6, other.records);
    if (answer.status == Status::kFound) read_addresses(*raw4.result, Family::kV4, answer.records);
    if (answer.status == Status::kFound && other.status == Status::kFound) {
      answer.secure &= other.secure;
      answer.ttl = std::min(answer.ttl, other.ttl);
      answer.records.insert(answer.records.begin(), other.records.begin(), other.records.end());
      co_return answer;
    }
    if (answer.status == Status::kFound || other.status == Status::kFound) {
      if (other.status == Status::kFound) answer = std::move(other);
      co_return answer;
    }
    if (rank(other.status) > rank(answer.status)) answer = std::move(other);
    co_return answer;
  }

  Task<Answer<IpAddress>> addresses_of(Family family, std::string name, Deadline deadline) override {
    const int type = family == Family::kV4 ? kTypeA : kTypeAaaa;
    MERPATI_CO_TRY(const Raw raw, co_await lookup(std::move(name), type, deadline));
    auto answer = answer_of<IpAddress>(raw);
    if (answer.status == Status::kFound) read_addresses(*raw.result, family, answer.records);
    co_return answer;
  }

  Task<Answer<std::string>> names(IpAddress address, Deadline deadline) override {
    MERPATI_CO_TRY(const Raw raw, co_await lookup(reverse_name(address), kTypePtr, deadline));
    auto answer = answer_of<std::string>(raw);
    if (answer.status == Status::kFound) {
      for (const std::string_view data : records_of(*raw.result)) answer.records.push_back(read_name(data));
    }
    co_return answer;
  }

  Task<Answer<std::string>> txt(std::string name, Deadline deadline) override {
    MERPATI_CO_TRY(const Raw raw, co_await lookup(std::move(name), kTypeTxt, deadline));
    auto answer = answer_of<std::string>(raw);
    if (answer.status == Status::kFound) {
      for (std::string_view data : records_of(*raw.result)) {
        std::string text;
        while (!data.empty()) {
          const auto size = static_cast<unsigned char>(data[0]);
          text += data.substr(1, size);
          data.remove_prefix(std::min<std::size_t>(data.size(), size + 1u));
        }
        answer.records.push_back(std::move(text));
      }
    }
    co_return answer;
  }

 private:
  // Shared with what is in flight: libunbound's answers and the coroutine that reads them.
  struct Core : std::enable_shared_from_this<Core> {
    struct Request {
      Core* core;
      std::shared_ptr<Pending> pending;
    };

    Core(const asio::any_io_executor& home, ub_ctx* context, std::size_t max_lookups)
        : context_(context), descriptor_(home, ub_fd(context)), home_(home), max_lookups_(max_lookups) {}
    ~Core() {
      if (descriptor_.is_open()) descriptor_.release();
      ub_ctx_delete(context_);
      for (Request* request : requests_) delete request;
    }

    // libunbound resolves on a thread of its own; its descriptor is readable when answers are there.
    void watch() {
      descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                             [weak = weak_from_this()](const boost::system::error_code& error) {
                               const auto self = weak.lock();
                               if (error || !self || self->closed_) return;
                               ub_process(self->context_);
                               self->watch();
                             });
    }

    void close() {
      // The descriptor belongs to libunbound: cancel and release, never close.
      asio::post(home_, [self = shared_from_this()] {
        self->closed_ = true;
        if (self->descriptor_.is_open()) self->descriptor_.release();
      });
    }

    std::shared_ptr<Pending> begin(const std::string& name, int type) {
      auto pending = std::make_shared<Pending>();
      Request* request = nullptr;
      {
        std::lock_guard lock(mutex_);
        if (requests_.size() < max_lookups_) {
          request = new Request{this, pending};
          requests_.insert(request);
        }
      }
      if (request == nullptr) {
        pending->finished = pending->refused = true;
        pending->done.notify();
        return pending;
      }
      const int error = ub_resolve_async(context_, name.c_str(), type, kClassIn, request, &Core::answered, nullptr);
      if (error != 0) finish(request, error, nullptr);
      return pending;
    }

    static void answered(void* data, int error, ub_result* result) {
      auto* request = static_cast<Request*>(data);
      request->core->finish(request, error, result);
    }

    void finish(Request* request, int error, ub_result* result) {
      {
        std::lock_guard lock(mutex_);
        requests_.erase(request);
      }
      const std::unique_ptr<Request> owned(request);
      {
        std::lock_guard lock(owned->pending->mutex);
        owned->pending->finished = true;
        owned->pending->error = error;
        owned->pending->result.reset(result);
      }
      owned->pending->done.notify();
    }

    ub_ctx* context_;
    asio::posix::stream_descriptor descriptor_;
    asio::any_io_executor home_;
    const std::size_t max_lookups_;
    bool closed_ = false;
    std::mutex mutex_;
    std::unordered_set<Request*> requests_;
  };

  std::shared_ptr<Pending> begin(const std::string& name, int type) { return core_->begin(name, type); }

  Task<Raw> finish(std::shared_ptr<Pending> pending, Deadline deadline) {
    const Result<void> waited = co_await with_deadline(pending->done.wait(), deadline);
    if (waited.has_error() && waited.error().code() == ErrorCode::kCancelled) co_return waited.error();
    Raw raw;
    std::lock_guard lock(pending->mutex);
    if (pending->finished) {
      raw.refused = pending->refused;
      raw.error = pending->error;
      raw.result = std::move(pending->result);
    }
    co_return raw;
  }

  Task<Raw> lookup(std::string name, int type, Deadline deadline) {
    auto pending = begin(name, type);
    co_return co_await finish(std::move(pending), deadline);
  }

  std::shared_ptr<Core> core_;
};

Error option_error(const std::string& what, int error) {
  return Error(ErrorCode::kInvalidArgument, "DNS resolver: " + what + ": " + ub_strerror(error));
}
}  // namespace

std::string_view to_string(Status status) {
  switch (status) {
    case Status::kFound:
      return "found";
    case Status::kNoData:
      return "no data";
    case Status::kNoName:
      return "no such name";
    case Status::kTemporary:
      return "temporary failure";
    case Status::kBogus:
      return "bogus";
  }
  return "unknown";
}

std::string reverse_name(const IpAddress& address) {
  std::string out;
  if (address.is_v4()) {
    const auto bytes = address.to_v4().to_bytes();
    for (auto it = bytes.rbegin(); it != bytes.rend(); ++it) out += std::to_string(*it) + ".";
    return out + "in-addr.arpa";
  }
  const auto bytes = address.to_v6().to_bytes();
  for (auto it = bytes.rbegin(); it != bytes.rend(); ++it) {
    out += {"0123456789abcdef"[*it & 15], '.', "0123456789abcdef"[*it >> 4], '.'};
  }
  return out + "ip6.arpa";
}

Result<std::shared_ptr<Resolver>> make_unbound_resolver(asio::any_io_executor home, const UnboundOptions& options) {
  struct ContextDelete {
    void operator()(ub_ctx* context) const { ub_ctx_delete(context); }
  };
  std::unique_ptr<ub_ctx, ContextDelete> context(ub_ctx_create());
  if (!context) return Error(ErrorCode::kResourceExhausted, "DNS resolver: cannot be created");
  ub_ctx_debuglevel(context.get(), 0);
  ub_ctx_async(context.get(), 1);
  ub_ctx_set_option(context.get(), "do-not-query-localhost:", "no");
  // A server that was away is asked again soon after: by default it would be left alone for up to 15 minutes.
  ub_ctx_set_option(context.get(), "infra-host-ttl:", "5");
  ub_ctx_set_option(context.get(), "infra-keep-probing:", "yes");
  if (!options.recursive) {
    if (options.servers.empty()) {
      if (const int error = ub_ctx_resolvconf(context.get(), nullptr)) return option_error("/etc/resolv.conf", error);
      ub_ctx_hosts(context.get(), nullptr);  // may be missing
    }
    for (const std::string& server : options.servers) {
      if (const int error = ub_ctx_set_fwd(context.get(), server.c_str())) return option_error(server, error);
    }
  }
  if (!options.trust_anchor_file.empty()) {
    if (const int error = ub_ctx_add_ta_file(context.get(), options.trust_anchor_file.c_str())) {
      return option_error(options.trust_anchor_file, error);
    }
  }
  // Private servers may know "test." (RFC 6761) and the reverse zones of private and documentation addresses
  // (RFC 6303), which libunbound would answer itself.
  if (!options.servers.empty()) {
    ub_ctx_set_option(context.get(), "unblock-lan-zones:", "yes");  // before a zone is added: that settles the options
    ub_ctx_zone_add(context.get(), "test.", "transparent");
  }
  auto resolver = std::make_shared<UnboundResolver>(home, context.release(), options.max_lookups);
  resolver->start();
  return std::shared_ptr<Resolver>(std::move(resolver));
}

}  // namespace merpati::dns
