// The body of block_on (process.hpp).
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <future>

namespace merpati::runtime {

template <class T>
Result<T> block_on(asio::any_io_executor executor, Task<T> task) {
  return asio::co_spawn(std::move(executor), std::move(task), asio::use_future).get();
}

}  // namespace merpati::runtime
