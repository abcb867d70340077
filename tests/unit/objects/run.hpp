// Runs one task to its end, for tests.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "merpati/base/task.hpp"

namespace merpati::objects {

template <class T>
Result<T> run(Task<T> task) {
  asio::io_context loop;
  auto result = asio::co_spawn(loop, std::move(task), asio::use_future);
  loop.run();
  return result.get();
}

}  // namespace merpati::objects
