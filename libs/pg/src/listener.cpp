#include "merpati/pg/listener.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "answer.hpp"
#include "connection.hpp"

namespace merpati::pg {
using namespace std::chrono_literals;

struct Listener::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::any_io_executor where, std::string to, std::vector<std::string> names, Handlers what)
      : loop(where),
        dsn(std::move(to)),
        channels(std::move(names)),
        handlers(std::move(what)),
        socket(where),
        timer(where) {}
  ~Impl() { drop(); }  // where the loop ended before close() had its turn

  asio::any_io_executor loop;
  std::string dsn;
  std::vector<std::string> channels;
  Handlers handlers;
  asio::thread_pool connector{1};
  asio::posix::stream_descriptor socket;
  asio::steady_timer timer;
  PGconn* connection = nullptr;
  std::chrono::milliseconds backoff{0};
  bool closed = false;

  void connect() {
    asio::post(connector, [weak = weak_from_this(), loop = loop, dsn = dsn, channels = channels] {
      auto result = open_connection(dsn, "", "merpati listen", 5s);
      for (const auto& channel : channels) {
        if (!result) break;
        const Answer answer(PQexec(result->get(), ("listen \"" + channel + "\"").c_str()));
        if (PQresultStatus(answer.get()) != PGRES_COMMAND_OK) result = Error(ErrorCode::kUnavailable, "cannot listen");
      }
      asio::post(loop, [weak, result = std::move(result)]() mutable {
        auto self = weak.lock();
        if (self && !self->closed) self->connected(std::move(result));
      });
    });
  }

  void connected(Result<Handle> result) {
    if (!result) return again();
    connection = result->release();
    PQsetnonblocking(connection, 1);
    socket.assign(PQsocket(connection));
    backoff = 0ms;
    wait();
    if (handlers.connected) handlers.connected();
  }

  void wait() {
    socket.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](const boost::system::error_code& error) {
                        if (error || self->closed || !self->connection) return;
                        if (PQconsumeInput(self->connection) == 0) {
                          self->drop();
                          return self->again();
                        }
                        while (self->connection) {
                          PGnotify* note = PQnotifies(self->connection);
                          if (!note) break;
                          if (self->handlers.notified) self->handlers.notified(note->relname, note->extra);
                          PQfreemem(note);
                        }
                        if (self->connection && !self->closed) self->wait();
                      });
  }

  void drop() {
    if (!connection) return;
    socket.release();
    PQfinish(connection);
    connection = nullptr;
  }

  void again() {
    backoff = std::clamp(backoff * 2, std::chrono::milliseconds(50ms), std::chrono::milliseconds(1000ms));
    timer.expires_after(backoff);
    timer.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      auto self = weak.lock();
      if (!error && self && !self->closed) self->connect();
    });
  }
};

Listener::Listener(asio::any_io_executor loop, std::string dsn, std::vector<std::string> channels, Handlers handlers)
    : impl_(std::make_shared<Impl>(std::move(loop), std::move(dsn), std::move(channels), std::move(handlers))) {}

Listener::~Listener() { close(); }

void Listener::start() { impl_->connect(); }

void Listener::close() {
  asio::post(impl_->loop, [impl = impl_] {
    impl->closed = true;
    impl->timer.cancel();
    impl->drop();
  });
}

}  // namespace merpati::pg
