// ObjectStore: named, immutable bytes outside the database. Owned by whoever wires a process; shared by its loops.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/task.hpp"

namespace merpati::objects {

/// Octets of an object: from `offset`, at most `length`.
struct Range {
  std::uint64_t offset = 0;
  std::uint64_t length = std::numeric_limits<std::uint64_t>::max();
  bool whole() const { return offset == 0 && length == std::numeric_limits<std::uint64_t>::max(); }
};

struct ObjectInfo {
  std::string key;
  std::uint64_t size = 0;  ///< octets
  WallTime modified;       ///< to the second
};

struct ListPage {
  std::vector<ObjectInfo> objects;
  std::string next;  ///< continuation for the next page; empty: this was the last
};

struct RemoveFailure {
  std::string key;
  Error error;
};

/// Tells what each operation took, for metrics. Called on any thread. `operation` is one of "put", "get", "head",
/// "remove", "list", "part"; `error` is empty on success.
using Observer =
    std::function<void(std::string_view operation, std::optional<ErrorCode> error, std::chrono::nanoseconds took)>;

/// Bytes on their way into one object. Not thread safe; one call at a time. Destroyed before commit() succeeded, it
/// leaves no object (and what storage it used is given back, at the latest by remove_abandoned()).
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;
  virtual Task<void> write(std::string bytes, Deadline deadline) = 0;
  /// Makes the object durable and visible under the key. Nothing may be called after it.
  virtual Task<void> commit(Deadline deadline) = 0;
};

/// Thread safe; awaited on any executor. A key is 1 to 180 of `A-Z a-z 0-9 . _ - /`, starting with a letter or digit;
/// others are kInvalidArgument. Error codes: see README.md.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  /// Durable when it returns. Replaces an object of the same key. Idempotent.
  virtual Task<void> put(std::string key, std::string bytes, Deadline deadline) = 0;
  /// Starts an object of unknown size.
  virtual Task<std::unique_ptr<ObjectWriter>> open_writer(std::string key, Deadline deadline) = 0;
  /// At most `range.length` octets, fewer at the end. kOutOfRange when the range starts behind the end;
  /// kResourceExhausted when the answer would be larger than the store's limit for one answer (64 MiB by default).
  virtual Task<std::string> get(std::string key, Range range, Deadline deadline) = 0;
  virtual Task<ObjectInfo> head(std::string key, Deadline deadline) = 0;
  /// Success also when there is no such object.
  virtual Task<void> remove(std::string key, Deadline deadline) = 0;
  /// As remove() for each; returns those that failed. An error when nothing could be tried.
  virtual Task<std::vector<RemoveFailure>> remove_many(std::vector<std::string> keys, Deadline deadline) = 0;
  /// Up to `limit` (1 to 1000) objects whose key starts with `prefix` (may be empty). The order is stable but the
  /// store's own. `continuation` is empty or a page's `next`. Objects made or removed meanwhile may or may not be seen.
  virtual Task<ListPage> list(std::string prefix, std::string continuation, std::size_t limit, Deadline deadline) = 0;
  /// Gives back what unfinished writers left behind that began longer ago than `age`; returns how many there were.
  virtual Task<std::size_t> remove_abandoned(std::chrono::seconds age, Deadline deadline) = 0;
  /// Whether the store can be reached and used at all (credentials, bucket, directory), for health reports.
  virtual Task<void> check(Deadline deadline) = 0;
};

/// kInvalidArgument unless `key` has the form that every store accepts.
Result<void> check_key(std::string_view key);

}  // namespace merpati::objects
