// A loop on a thread of its own, as in a process.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <thread>

#include "merpati/base/task.hpp"

namespace merpati::test {

struct Loop {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::thread thread{[this] { context.run(); }};
  ~Loop() {
    work.reset();
    context.stop();
    thread.join();
  }
  /// On the loop; waits for it.
  template <class T>
  Result<T> run(Task<T> task) {
    return asio::co_spawn(context, std::move(task), asio::use_future).get();
  }
  /// What was posted before this has run.
  void catch_up() { asio::post(context, asio::use_future).get(); }
};

}  // namespace merpati::test
