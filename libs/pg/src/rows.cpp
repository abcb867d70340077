#include "merpati/pg/rows.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <bit>
#include <cstdlib>
#include <stdexcept>

#include "merpati/base/encoding.hpp"
#include "merpati/pg/params.hpp"

namespace merpati::pg {
namespace {

constexpr unsigned kName = 19, kJson = 114, kInt2Array = 1005, kVarcharArray = 1015;
constexpr std::int64_t kEpochMicroseconds = 946684800LL * 1000000LL;

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const unsigned char byte : bytes) value = value << 8 | byte;
  return value;
}

std::int64_t signed_integer(std::string_view bytes) {
  const auto value = big_endian(bytes);
  switch (bytes.size()) {
    case 2:
      return static_cast<std::int16_t>(value);
    case 4:
      return static_cast<std::int32_t>(value);
    default:
      return static_cast<std::int64_t>(value);
  }
}

/// Calls `use` with the bytes of each element of an array of one dimension.
template <class Use>
void each_element(std::string_view raw, Use use) {
  if (raw.size() < 12 || big_endian(raw.substr(0, 4)) == 0) return;
  if (big_endian(raw.substr(0, 4)) != 1) throw std::logic_error("an array of several dimensions");
  auto count = big_endian(raw.substr(12, 4));
  raw.remove_prefix(20);
  for (; count > 0; --count) {
    const auto length = static_cast<std::int32_t>(big_endian(raw.substr(0, 4)));
    if (length < 0) throw std::logic_error("a null in an array");
    use(raw.substr(4, static_cast<std::size_t>(length)));
    raw.remove_prefix(4 + static_cast<std::size_t>(length));
  }
}

}  // namespace

unsigned Row::oid(int column) const { return PQftype(result_, column); }

bool Row::is_null(int column) const { return PQgetisnull(result_, row_, column) != 0; }

std::string_view Row::raw(int column) const {
  if (is_null(column)) wrong_type(column, "a value");
  return {PQgetvalue(result_, row_, column), static_cast<std::size_t>(PQgetlength(result_, row_, column))};
}

void Row::wrong_type(int column, const char* wanted) const {
  const char* name = PQfname(result_, column);
  throw std::logic_error(fmt::format("column {} ({}) of type {}{} is not {}", column, name ? name : "none", oid(column),
                                     name && is_null(column) ? ", null," : "", wanted));
}

bool Row::boolean(int column) const {
  if (oid(column) != type::kBool) wrong_type(column, "bool");
  return raw(column)[0] != 0;
}

std::int32_t Row::integer(int column) const {
  if (oid(column) != type::kInt4 && oid(column) != type::kInt2) wrong_type(column, "int4");
  return static_cast<std::int32_t>(signed_integer(raw(column)));
}

std::int64_t Row::bigint(int column) const {
  const auto have = oid(column);
  if (have != type::kInt8 && have != type::kInt4 && have != type::kInt2) wrong_type(column, "int8");
  return signed_integer(raw(column));
}

double Row::float8(int column) const {
  if (oid(column) != type::kFloat8) wrong_type(column, "float8");
  return std::bit_cast<double>(big_endian(raw(column)));
}

std::string_view Row::text(int column) const {
  const auto have = oid(column);
  if (have != type::kText && have != type::kVarchar && have != kName && have != kJson) wrong_type(column, "text");
  return raw(column);
}

std::string_view Row::bytea(int column) const {
  if (oid(column) != type::kBytea) wrong_type(column, "bytea");
  return raw(column);
}

WallTime Row::timestamptz(int column) const {
  if (oid(column) != type::kTimestamptz) wrong_type(column, "timestamptz");
  return from_microseconds(signed_integer(raw(column)) + kEpochMicroseconds);
}

std::string_view Row::uuid_bytes(int column) const {
  if (oid(column) != type::kUuid) wrong_type(column, "uuid");
  return raw(column);
}

std::string Row::uuid(int column) const {
  auto text = to_hex(uuid_bytes(column));
  for (const std::size_t at : {8, 13, 18, 23}) text.insert(at, 1, '-');
  return text;
}

std::vector<std::int64_t> Row::bigints(int column) const {
  const auto have = oid(column);
  if (have != type::kInt8Array && have != type::kInt4Array && have != kInt2Array) wrong_type(column, "int8[]");
  std::vector<std::int64_t> values;
  each_element(raw(column), [&](std::string_view bytes) { values.push_back(signed_integer(bytes)); });
  return values;
}

std::vector<std::string_view> Row::texts(int column) const {
  if (oid(column) != type::kTextArray && oid(column) != kVarcharArray) wrong_type(column, "text[]");
  std::vector<std::string_view> values;
  each_element(raw(column), [&](std::string_view bytes) { values.push_back(bytes); });
  return values;
}

std::vector<std::string_view> Row::byteas(int column) const {
  if (oid(column) != type::kByteaArray) wrong_type(column, "bytea[]");
  std::vector<std::string_view> values;
  each_element(raw(column), [&](std::string_view bytes) { values.push_back(bytes); });
  return values;
}

Rows::Rows(pg_result* owned) : result_(owned), size_(PQntuples(owned)) {}

void Rows::Clear::operator()(pg_result* result) const { PQclear(result); }

std::int64_t Rows::affected() const { return result_ ? std::atoll(PQcmdTuples(result_.get())) : 0; }

}  // namespace merpati::pg
