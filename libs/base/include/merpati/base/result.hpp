// Result<T>: a value or an Error. One header, so that std::expected can replace it.
#pragma once

#include <boost/assert/source_location.hpp>
#include <boost/system/result.hpp>

#include "merpati/base/error.hpp"

namespace merpati {

[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

template <class T>
using Result = boost::system::result<T, Error>;

}  // namespace merpati

#define MERPATI_CONCAT_(a, b) a##b
#define MERPATI_CONCAT(a, b) MERPATI_CONCAT_(a, b)
#define MERPATI_TRY_(keyword, tmp, declaration, ...)   \
  auto tmp = (__VA_ARGS__);                            \
  if (tmp.has_error()) keyword std::move(tmp).error(); \
  declaration = *std::move(tmp)
#define MERPATI_CHECK_(keyword, tmp, ...) \
  if (auto tmp = (__VA_ARGS__); tmp.has_error()) keyword std::move(tmp).error()

/// MERPATI_TRY(auto value, expression): the value, or returns the error.
#define MERPATI_TRY(declaration, ...) MERPATI_TRY_(return, MERPATI_CONCAT(try_, __LINE__), declaration, __VA_ARGS__)
#define MERPATI_CO_TRY(declaration, ...) \
  MERPATI_TRY_(co_return, MERPATI_CONCAT(try_, __LINE__), declaration, __VA_ARGS__)
/// MERPATI_CHECK(expression): for Result<void>, and where the value is of no interest.
#define MERPATI_CHECK(...) MERPATI_CHECK_(return, MERPATI_CONCAT(try_, __LINE__), __VA_ARGS__)
#define MERPATI_CO_CHECK(...) MERPATI_CHECK_(co_return, MERPATI_CONCAT(try_, __LINE__), __VA_ARGS__)
