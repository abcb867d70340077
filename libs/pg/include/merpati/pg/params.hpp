// Params: the values of one execution, encoded as PostgreSQL's binary format. Appended in the order of $1, $2, ...
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/clock.hpp"

namespace merpati::pg {

namespace type {
inline constexpr unsigned kBool = 16, kBytea = 17, kInt8 = 20, kInt2 = 21, kInt4 = 23, kText = 25, kFloat8 = 701,
                          kVarchar = 1043, kTimestamptz = 1184, kUuid = 2950;
inline constexpr unsigned kBoolArray = 1000, kByteaArray = 1001, kInt4Array = 1007, kTextArray = 1009,
                          kInt8Array = 1016, kTimestamptzArray = 1185, kUuidArray = 2951;
}  // namespace type

/// Microseconds since 1970 in PostgreSQL's resolution.
std::int64_t to_microseconds(WallTime time);
WallTime from_microseconds(std::int64_t microseconds);

class Params {
 public:
  Params& boolean(std::optional<bool> value);
  Params& integer(std::optional<std::int32_t> value);
  Params& bigint(std::optional<std::int64_t> value);
  Params& float8(std::optional<double> value);
  Params& text(std::optional<std::string_view> value);   ///< valid UTF-8 without NUL, else the server refuses it
  Params& bytea(std::optional<std::string_view> value);  ///< any bytes
  Params& timestamptz(std::optional<WallTime> value);
  /// 36 characters or 16 raw bytes; anything else throws std::invalid_argument (check what comes from a peer before).
  Params& uuid(std::optional<std::string_view> value);

  /// Arrays, for `unnest($1, $2, ...)`. Elements are values or std::optional of them (null).
  template <class Range>
  Params& booleans(const Range& values) {
    return array(type::kBoolArray, type::kBool, values, [this](bool v) { data_.push_back(v ? 1 : 0); });
  }
  template <class Range>
  Params& integers(const Range& values) {
    return array(type::kInt4Array, type::kInt4, values,
                 [this](std::int32_t v) { put32(static_cast<std::uint32_t>(v)); });
  }
  template <class Range>
  Params& bigints(const Range& values) {
    return array(type::kInt8Array, type::kInt8, values,
                 [this](std::int64_t v) { put64(static_cast<std::uint64_t>(v)); });
  }
  template <class Range>
  Params& texts(const Range& values) {
    return array(type::kTextArray, type::kText, values, [this](std::string_view v) { data_.append(v); });
  }
  template <class Range>
  Params& byteas(const Range& values) {
    return array(type::kByteaArray, type::kBytea, values, [this](std::string_view v) { data_.append(v); });
  }
  template <class Range>
  Params& timestamps(const Range& values) {
    return array(type::kTimestamptzArray, type::kTimestamptz, values, [this](WallTime v) { put_time(v); });
  }
  template <class Range>
  Params& uuids(const Range& values) {
    return array(type::kUuidArray, type::kUuid, values, [this](std::string_view v) { put_uuid(v); });
  }

  struct Value {
    unsigned oid;
    int length;  ///< -1: null
    std::size_t offset;
  };
  const std::vector<Value>& values() const { return values_; }
  const char* at(const Value& value) const { return value.length < 0 ? nullptr : data_.data() + value.offset; }
  /// Bytes of all values.
  std::size_t size_bytes() const { return data_.size(); }

 private:
  void begin(unsigned oid) { values_.push_back({oid, -1, data_.size()}); }
  void end() { values_.back().length = static_cast<int>(data_.size() - values_.back().offset); }
  void put32(std::uint32_t value);
  void put64(std::uint64_t value);
  void put_time(WallTime value);
  void put_uuid(std::string_view value);
  void patch32(std::size_t at, std::uint32_t value);

  template <class T>
  static const T& element(const T& value) {
    return value;
  }
  template <class T>
  static const T& element(const std::optional<T>& value) {
    return *value;
  }
  template <class T>
  static bool present(const T&) {
    return true;
  }
  template <class T>
  static bool present(const std::optional<T>& value) {
    return value.has_value();
  }

  template <class Range, class Put>
  Params& array(unsigned oid, unsigned element_oid, const Range& values, Put put) {
    begin(oid);
    const auto size = std::size(values);
    put32(size == 0 ? 0 : 1);  // dimensions
    put32(1);                  // may hold nulls
    put32(element_oid);
    if (size != 0) {
      put32(static_cast<std::uint32_t>(size));
      put32(1);  // lower bound
    }
    for (const auto& value : values) {
      const auto at = data_.size();
      if (!present(value)) {
        put32(0xffffffffu);
        continue;
      }
      put32(0);
      put(element(value));
      patch32(at, static_cast<std::uint32_t>(data_.size() - at - 4));
    }
    end();
    return *this;
  }

  std::string data_;
  std::vector<Value> values_;
};

}  // namespace merpati::pg
