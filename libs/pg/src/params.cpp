#include "merpati/pg/params.hpp"

#include <bit>
#include <cstring>
#include <stdexcept>

#include "merpati/base/encoding.hpp"

namespace merpati::pg {
namespace {
// PostgreSQL counts microseconds from 2000-01-01.
constexpr std::int64_t kEpochMicroseconds = 946684800LL * 1000000LL;
}  // namespace

std::int64_t to_microseconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

WallTime from_microseconds(std::int64_t microseconds) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(std::chrono::microseconds(microseconds)));
}

void Params::put32(std::uint32_t value) {
  const char bytes[4] = {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
                         static_cast<char>(value)};
  data_.append(bytes, 4);
}

void Params::put64(std::uint64_t value) {
  put32(static_cast<std::uint32_t>(value >> 32));
  put32(static_cast<std::uint32_t>(value));
}

void Params::patch32(std::size_t at, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) data_[at + i] = static_cast<char>(value >> (24 - 8 * i));
}

void Params::put_time(WallTime value) {
  put64(static_cast<std::uint64_t>(to_microseconds(value) - kEpochMicroseconds));
}

void Params::put_uuid(std::string_view value) {
  if (value.size() == 16) {
    data_.append(value);
    return;
  }
  std::string digits;
  if (value.size() == 36)
    for (const char c : value)
      if (c != '-') digits += c;
  const auto bytes = from_hex(digits);
  if (!bytes || bytes->size() != 16) throw std::invalid_argument("not a UUID");
  data_.append(*bytes);
}

Params& Params::boolean(std::optional<bool> value) {
  begin(type::kBool);
  if (!value) return *this;
  data_.push_back(*value ? 1 : 0);
  return end(), *this;
}

Params& Params::integer(std::optional<std::int32_t> value) {
  begin(type::kInt4);
  if (!value) return *this;
  put32(static_cast<std::uint32_t>(*value));
  return end(), *this;
}

Params& Params::bigint(std::optional<std::int64_t> value) {
  begin(type::kInt8);
  if (!value) return *this;
  put64(static_cast<std::uint64_t>(*value));
  return end(), *this;
}

Params& Params::float8(std::optional<double> value) {
  begin(type::kFloat8);
  if (!value) return *this;
  put64(std::bit_cast<std::uint64_t>(*value));
  return end(), *this;
}

Params& Params::text(std::optional<std::string_view> value) {
  begin(type::kText);
  if (!value) return *this;
  data_.append(*value);
  return end(), *this;
}

Params& Params::bytea(std::optional<std::string_view> value) {
  begin(type::kBytea);
  if (!value) return *this;
  data_.append(*value);
  return end(), *this;
}

Params& Params::timestamptz(std::optional<WallTime> value) {
  begin(type::kTimestamptz);
  if (!value) return *this;
  put_time(*value);
  return end(), *this;
}

Params& Params::uuid(std::optional<std::string_view> value) {
  begin(type::kUuid);
  if (!value) return *this;
  put_uuid(*value);
  return end(), *this;
}

}  // namespace merpati::pg
