#include "merpati/rpc/dispatcher.hpp"

#include <algorithm>
#include <array>
#include <mutex>

#include "merpati/auth/v1/token.pb.h"
#include "merpati/runtime/metrics.hpp"
#include "merpati/runtime/span.hpp"

namespace merpati::rpc {

// One method's calls by code, and how long its unary calls took; each is made when it is first needed.
class CallCounters {
 public:
  CallCounters(runtime::Metrics& metrics, std::string_view path) : metrics_(metrics), path_(path) {}
  void took(SteadyTime::duration time) {
    std::call_once(timed_, [&] {
      seconds_ = metrics_.histogram("merpati_rpc_call_seconds", "Time in the handler of a unary call, by method",
                                    runtime::Metrics::latency_bounds(), {{"method", std::string(path_)}});
    });
    seconds_.observe(std::chrono::duration<double>(time).count());
  }
  void count(const Result<void>& result) {
    const auto code = result.has_error() ? static_cast<std::size_t>(result.error().code()) : 0;
    const auto slot = std::min(code, counters_.size() - 1);
    std::call_once(made_[slot], [&] {
      const auto name = slot == 0 ? std::string("OK") : std::string(to_string(static_cast<ErrorCode>(slot)));
      counters_[slot] = metrics_.counter("merpati_rpc_calls_total", "Calls that ended, by method and code",
                                         {{"method", std::string(path_)}, {"code", name}});
    });
    counters_[slot].add();
  }

 private:
  runtime::Metrics& metrics_;
  const std::string_view path_;
  std::array<runtime::Counter, 17> counters_;
  std::array<std::once_flag, 17> made_;
  runtime::Histogram seconds_;
  std::once_flag timed_;
};

namespace {

Error denied(const Method& method, Role role) {
  return Error(ErrorCode::kPermissionDenied,
               "the role " + std::string(to_string(role)) + " may not call " + std::string(method.path))
      .with_public("permission denied");
}

Error other_account() {
  return Error(ErrorCode::kPermissionDenied, "the request names another account than the session token")
      .with_public("permission denied");
}

/// The call as its handler sees it; what the handler calls hangs below it.
runtime::Span server_span(const Dispatcher::Entry& entry, Context& context) {
  runtime::Span span(entry.method->path.substr(1), runtime::SpanKind::kServer, context.trace());
  if (!span.active()) return span;
  span.attribute("rpc.system", "grpc");
  context.set_trace(span.trace());
  return span;
}

void end_span(runtime::Span& span, const Result<void>& result) {
  if (!span.active()) return;
  const auto code = result.has_error() ? static_cast<std::int64_t>(result.error().code()) : 0;
  span.attribute("rpc.grpc.status_code", code);
  if (result.has_error()) span.fail(result.error());
}

// A handler's view of a stream whose every request is checked against the session token's account.
class AccountCheckedStream final : public Stream {
 public:
  AccountCheckedStream(Stream& inner, const Method& method, std::int64_t account)
      : inner_(inner), method_(method), account_(account) {}

  Task<std::unique_ptr<MessageLite>> read() override {
    MERPATI_CO_TRY(auto message, co_await inner_.read());
    if (message != nullptr) {
      const std::int64_t named = method_.account_of(*message);
      // Later messages of a client's stream may leave the field out.
      const bool allowed = named == account_ || (named == 0 && !first_);
      first_ = false;
      if (!allowed) co_return other_account();
    }
    co_return message;
  }
  Task<void> write(std::unique_ptr<MessageLite> message) override { return inner_.write(std::move(message)); }
  Task<void> done_writing() override { return inner_.done_writing(); }
  void cancel() override { inner_.cancel(); }

 private:
  Stream& inner_;
  const Method& method_;
  const std::int64_t account_;
  bool first_ = true;
};

}  // namespace

void Dispatcher::register_service(Service& service) {
  const auto methods = service.methods();
  for (std::size_t i = 0; i < methods.size(); ++i)
    entries_[methods[i].path] =
        Entry{&methods[i], &service, i, authorization_row(methods[i].path),
              metrics_ == nullptr ? nullptr : std::make_shared<CallCounters>(*metrics_, methods[i].path)};
}

void Dispatcher::set_metrics(runtime::Metrics& metrics) {
  metrics_ = &metrics;
  for (auto& [path, entry] : entries_) entry.counters = std::make_shared<CallCounters>(metrics, path);
}

const Dispatcher::Entry* Dispatcher::find(std::string_view path) const {
  const auto found = entries_.find(path);
  return found == entries_.end() ? nullptr : &found->second;
}

Task<void> Dispatcher::authorize(const Entry& entry, Context& context) const {
  if (entry.row == nullptr) co_return denied(*entry.method, context.role());
  if (entry.row->trusted.contains(context.role())) co_return Result<void>();
  if (!entry.row->session.contains(context.role())) co_return denied(*entry.method, context.role());
  if (context.token().empty()) co_return Error(ErrorCode::kUnauthenticated, "a session token is needed");
  if (!verifier_) co_return Error(ErrorCode::kUnavailable, "session tokens cannot be verified here");
  auto claims = verifier_->verify(context.token());
  if (claims.has_error() && claims.error().code() == ErrorCode::kUnavailable) {
    MERPATI_CO_CHECK(co_await verifier_->refresh());
    claims = verifier_->verify(context.token());
    if (claims.has_error() && claims.error().code() == ErrorCode::kUnavailable)
      co_return Error(ErrorCode::kUnauthenticated, claims.error().message());
  }
  if (claims.has_error()) co_return std::move(claims).error();
  if (entry.row->scope != 0) {
    const auto& scopes = (*claims)->scopes();
    if (std::find(scopes.begin(), scopes.end(), entry.row->scope) == scopes.end())
      co_return Error(ErrorCode::kPermissionDenied,
                      "the session token lacks the scope for " + std::string(entry.method->path))
          .with_public("permission denied");
  }
  context.set_claims(*std::move(claims));
  co_return Result<void>();
}

Task<void> Dispatcher::call(const Entry& entry, Context& context, const MessageLite& request, MessageLite& response,
                            Timer timer) const {
  // No coroutine of its own where nobody records.
  if (!runtime::spans_recorded()) return counted_call(entry, context, request, response, timer);
  return recorded_call(entry, context, request, response, timer);
}

Task<void> Dispatcher::recorded_call(const Entry& entry, Context& context, const MessageLite& request,
                                     MessageLite& response, Timer timer) const {
  auto span = server_span(entry, context);
  auto result = co_await counted_call(entry, context, request, response, timer);
  end_span(span, result);
  co_return result;
}

Task<void> Dispatcher::counted_call(const Entry& entry, Context& context, const MessageLite& request,
                                    MessageLite& response, Timer timer) const {
  if (!entry.counters) co_return co_await checked_call(entry, context, request, response, timer);
  const auto begun = std::chrono::steady_clock::now();
  auto result = co_await checked_call(entry, context, request, response, timer);
  entry.counters->count(result);
  entry.counters->took(std::chrono::steady_clock::now() - begun);
  co_return result;
}

Task<void> Dispatcher::call_stream(const Entry& entry, Context& context, Stream& stream) const {
  auto span = server_span(entry, context);
  auto result = co_await checked_stream(entry, context, stream);
  end_span(span, result);
  if (entry.counters) entry.counters->count(result);
  co_return result;
}

Task<void> Dispatcher::checked_call(const Entry& entry, Context& context, const MessageLite& request,
                                    MessageLite& response, Timer timer) const {
  if (entry.method->kind != CallKind::kUnary) co_return Error(ErrorCode::kInternal, "not a unary method");
  MERPATI_CO_CHECK(co_await authorize(entry, context));
  if (context.claims() != nullptr && entry.method->account_of != nullptr &&
      entry.method->account_of(request) != context.claims()->account_id())
    co_return other_account();
  if (timer == Timer::kTransport) co_return co_await entry.service->call(entry.index, context, request, response);
  co_return co_await with_deadline(entry.service->call(entry.index, context, request, response), context.deadline());
}

Task<void> Dispatcher::checked_stream(const Entry& entry, Context& context, Stream& stream) const {
  if (entry.method->kind == CallKind::kUnary) co_return Error(ErrorCode::kInternal, "not a streaming method");
  MERPATI_CO_CHECK(co_await authorize(entry, context));
  if (context.claims() == nullptr || entry.method->account_of == nullptr)
    co_return co_await with_deadline(entry.service->call_stream(entry.index, context, stream), context.deadline());
  AccountCheckedStream checked(stream, *entry.method, context.claims()->account_id());
  co_return co_await with_deadline(entry.service->call_stream(entry.index, context, checked), context.deadline());
}

}  // namespace merpati::rpc
