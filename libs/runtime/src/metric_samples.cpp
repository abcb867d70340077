#include "merpati/runtime/metric_samples.hpp"

#include <charconv>

namespace merpati::runtime {
namespace {

/// One series; the rest of the line is the value.
class Line {
 public:
  explicit Line(std::string_view text) : rest_(text) {}

  bool parse(Sample& sample) {
    const auto end = rest_.find_first_of("{ ");
    if (end == std::string_view::npos || end == 0) return false;
    sample.name = rest_.substr(0, end);
    rest_.remove_prefix(end);
    if (rest_.front() == '{' && !labels(sample.labels)) return false;
    if (rest_.empty() || rest_.front() != ' ') return false;
    rest_.remove_prefix(1);
    const auto number = rest_.substr(0, rest_.find(' '));
    const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), sample.value);
    return error == std::errc() && stop == number.data() + number.size();
  }

 private:
  bool labels(Metrics::Labels& out) {
    rest_.remove_prefix(1);
    while (!rest_.empty() && rest_.front() != '}') {
      const auto equals = rest_.find("=\"");
      if (equals == std::string_view::npos) return false;
      std::string name(rest_.substr(0, equals));
      rest_.remove_prefix(equals + 2);
      std::string value;
      if (!quoted(value)) return false;
      out.emplace(std::move(name), std::move(value));
      if (!rest_.empty() && rest_.front() == ',') rest_.remove_prefix(1);
    }
    if (rest_.empty()) return false;
    rest_.remove_prefix(1);
    return true;
  }

  /// Up to the closing quote; \\, \" and \n are the escapes of the format.
  bool quoted(std::string& out) {
    for (std::size_t i = 0; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        return true;
      }
      if (rest_[i] == '\\' && i + 1 < rest_.size()) {
        ++i;
        out.push_back(rest_[i] == 'n' ? '\n' : rest_[i]);
      } else {
        out.push_back(rest_[i]);
      }
    }
    return false;
  }

  std::string_view rest_;
};

}  // namespace

std::vector<Sample> parse_samples(std::string_view text) {
  std::vector<Sample> out;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.front() == '#') continue;
    Sample sample;
    if (!Line(line).parse(sample) || sample.labels.contains("le")) continue;
    out.push_back(std::move(sample));
  }
  return out;
}

std::vector<Sample> samples_of(const Metrics& metrics) { return parse_samples(metrics.text()); }

}  // namespace merpati::runtime
