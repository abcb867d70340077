#include "lexer.hpp"

#include <limits>

#include "merpati/mime/header.hpp"

namespace merpati::sieve {
namespace {

bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  Lexer(std::string_view source, const CompileLimits& limits, std::vector<Diagnostic>& errors)
      : source_(source), limits_(limits), errors_(errors) {}

  std::vector<Token> run() {
    if (source_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    while (skip_blank() && errors_.size() < limits_.max_errors) one();
    tokens_.push_back({TokenKind::kEnd, position_, "end of the script", 0});
    return std::move(tokens_);
  }

 private:
  bool done() const { return at_ >= source_.size(); }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }

  void advance() {
    const char c = source_[at_++];
    if (c == '\n') {
      ++position_.line;
      position_.column = 1;
    } else if ((c & 0xC0) != 0x80) {
      ++position_.column;
    }
  }

  void error(Position where, std::string text) { errors_.push_back({where, std::move(text)}); }

  /// RFC 5228 2.3: white space and both forms of comment. False at the end.
  bool skip_blank() {
    while (!done()) {
      const char c = peek();
      if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        advance();
      } else if (c == '#') {
        while (!done() && peek() != '\n') advance();
      } else if (c == '/' && peek(1) == '*') {
        skip_comment();
      } else {
        return true;
      }
    }
    return false;
  }

  void skip_comment() {
    const Position start = position_;
    advance(), advance();
    while (!done() && !(peek() == '*' && peek(1) == '/')) advance();
    if (done()) return error(start, "this comment has no end: */ is missing");
    advance(), advance();
  }

  void one() {
    const char c = peek();
    const Position start = position_;
    if (is_alpha(c)) return identifier(TokenKind::kIdentifier, start);
    if (c == ':' && is_alpha(peek(1))) {
      advance();
      return identifier(TokenKind::kTag, start);
    }
    if (is_digit(c)) return number(start);
    if (c == '"') return quoted(start);
    advance();
    if (std::string_view("()[]{},;").find(c) != std::string_view::npos && c != '\0') {
      tokens_.push_back({TokenKind::kPunctuation, start, std::string(1, c), 0});
      return;
    }
    std::string shown(1, c);
    while (!done() && (peek() & 0xC0) == 0x80) shown += peek(), advance();
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) shown = "control character";
    error(start, "'" + shown + "' cannot stand here; text belongs in double quotes");
  }

  void identifier(TokenKind kind, Position start) {
    const std::size_t from = at_;
    while (is_alpha(peek()) || is_digit(peek())) advance();
    std::string name = mime::to_lower(source_.substr(from, at_ - from));
    if (kind == TokenKind::kIdentifier && name == "text" && peek() == ':') return multiline(start);
    tokens_.push_back({kind, start, std::move(name), 0});
  }

  /// RFC 5228 2.4.1: K, M and G are powers of 1024.
  void number(Position start) {
    std::uint64_t value = 0;
    bool large = false;
    for (; is_digit(peek()); advance()) {
      value = value * 10 + static_cast<std::uint64_t>(peek() - '0');
      large = large || value > std::numeric_limits<std::int64_t>::max() / 16;
      if (large) value = 0;
    }
    const int shift = peek() == 'K' || peek() == 'k'   ? 10
                      : peek() == 'M' || peek() == 'm' ? 20
                      : peek() == 'G' || peek() == 'g' ? 30
                                                       : 0;
    if (shift > 0) advance();
    if (large || value > (std::numeric_limits<std::int64_t>::max() >> shift))
      error(start, "this number is too large: at most 9223372036854775807");
    if (is_alpha(peek())) {
      error(start, "after a number only K, M or G may stand");
      while (is_alpha(peek()) || is_digit(peek())) advance();
    }
    tokens_.push_back({TokenKind::kNumber, start, {}, value << shift});
  }

  void string_done(Position start, std::string value) {
    if (value.size() > limits_.max_string)
      error(start, "this string is longer than " + std::to_string(limits_.max_string) + " octets");
    tokens_.push_back({TokenKind::kString, start, std::move(value), 0});
  }

  void quoted(Position start) {
    advance();
    std::string value;
    while (!done() && peek() != '"') {
      if (peek() == '\\' && at_ + 1 < source_.size()) advance();  // RFC 5228 2.4.2: an unknown escape is the character
      value += peek();
      advance();
    }
    if (done()) return error(start, "this string has no end: a closing \" is missing");
    advance();
    string_done(start, std::move(value));
  }

  /// RFC 5228 2.4.2: text: lines, dot-stuffed, until a line with a dot alone.
  void multiline(Position start) {
    advance();
    while (peek() == ' ' || peek() == '\t') advance();
    if (peek() == '#')
      while (!done() && peek() != '\n') advance();
    if (peek() == '\r') advance();
    if (peek() != '\n') return error(start, "after \"text:\" the line must end");
    advance();
    std::string value;
    while (!done()) {
      const std::size_t from = at_;
      while (!done() && peek() != '\n') advance();
      std::string_view line = source_.substr(from, at_ - from);
      if (!done()) advance();
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line == ".") return string_done(start, std::move(value));
      value += line.starts_with('.') ? line.substr(1) : line;
      value += "\r\n";
    }
    error(start, "this text: has no end: a line with a dot alone is missing");
  }

  std::string_view source_;
  const CompileLimits& limits_;
  std::vector<Diagnostic>& errors_;
  std::size_t at_ = 0;
  Position position_{1, 1};
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source, const CompileLimits& limits, std::vector<Diagnostic>& errors) {
  return Lexer(source, limits, errors).run();
}

}  // namespace merpati::sieve
