// Rows: one statement's result, in PostgreSQL's binary format. Views that it gives live as long as it does.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merpati/base/clock.hpp"

struct pg_result;

namespace merpati::pg {

class Rows;

/// One row; a view. Asking for a null, or for another type than the column has, throws std::logic_error: it is a bug of
/// the statement, and the first test that runs it shows it.
class Row {
 public:
  bool is_null(int column) const;
  bool boolean(int column) const;
  std::int32_t integer(int column) const;  ///< int2, int4
  std::int64_t bigint(int column) const;   ///< int2, int4, int8
  double float8(int column) const;
  std::string_view text(int column) const;  ///< text, varchar, name, json
  std::string_view bytea(int column) const;
  WallTime timestamptz(int column) const;
  std::string uuid(int column) const;             ///< 36 characters
  std::string_view uuid_bytes(int column) const;  ///< 16 bytes

  /// The same, but `otherwise` for null.
  std::int64_t bigint_or(int column, std::int64_t otherwise) const {
    return is_null(column) ? otherwise : bigint(column);
  }
  std::string_view text_or(int column, std::string_view otherwise) const {
    return is_null(column) ? otherwise : text(column);
  }
  std::string_view bytea_or(int column, std::string_view otherwise) const {
    return is_null(column) ? otherwise : bytea(column);
  }

  /// Arrays of one dimension; null elements throw.
  std::vector<std::int64_t> bigints(int column) const;  ///< of int2, int4, int8
  std::vector<std::string_view> texts(int column) const;
  std::vector<std::string_view> byteas(int column) const;

 private:
  friend class Rows;
  Row(const pg_result* result, int row) : result_(result), row_(row) {}
  std::string_view raw(int column) const;
  unsigned oid(int column) const;
  [[noreturn]] void wrong_type(int column, const char* wanted) const;

  const pg_result* result_;
  int row_;
};

class Rows {
 public:
  Rows() = default;
  explicit Rows(pg_result* owned);

  std::size_t size() const { return static_cast<std::size_t>(size_); }
  bool empty() const { return size_ == 0; }
  Row operator[](std::size_t row) const { return Row(result_.get(), static_cast<int>(row)); }
  Row front() const { return (*this)[0]; }
  /// Rows inserted, updated or deleted by the statement; 0 for a select.
  std::int64_t affected() const;

  class Iterator {
   public:
    Iterator(const Rows* rows, std::size_t at) : rows_(rows), at_(at) {}
    Row operator*() const { return (*rows_)[at_]; }
    Iterator& operator++() { return ++at_, *this; }
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }

   private:
    const Rows* rows_;
    std::size_t at_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
  int size_ = 0;
};

}  // namespace merpati::pg
