// How well the classifier tells spam from good mail: learns one half of a corpus, judges the other, at the settings it
// has.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <unordered_map>
#include <vector>

#include "merpati/bayes/classifier.hpp"
#include "merpati/bayes/tokens.hpp"

namespace {
using namespace merpati::bayes;

std::vector<std::string> read(const std::vector<std::string>& folders) {
  std::vector<std::filesystem::path> files;
  for (const auto& folder : folders)
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
      if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> out;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    out.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return out;
}

struct Model {
  Counts messages;
  std::unordered_map<std::int64_t, Counts> tokens;

  void learn(const std::string& message, std::int64_t Counts::*as) {
    ++(messages.*as);
    for (const auto token : tokens_of(message).tokens) ++(tokens[token].*as);
  }
  double spam(const std::string& message) const {
    std::vector<Counts> counts;
    for (const auto token : tokens_of(message).tokens)
      if (const auto known = tokens.find(token); known != tokens.end()) counts.push_back(known->second);
    const auto opinion = judge(counts, messages);
    return opinion ? opinion->spam : 0.5;
  }
};

/// `every`-th message is judged, the others are learnt.
constexpr std::size_t kEvery = 2;

void report(const char* what, const std::vector<double>& judged) {
  fmt::print("{:5} {:6}", what, judged.size());
  for (const auto at : {0.5, 0.9, 0.99}) {
    const auto above = std::count_if(judged.begin(), judged.end(), [at](double value) { return value >= at; });
    fmt::print("   >= {:<4}: {:5} ({:.2f} %)", at, above,
               judged.empty() ? 0.0 : 100.0 * static_cast<double>(above) / static_cast<double>(judged.size()));
  }
  fmt::print("\n");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Learns one half of the messages in some folders, and judges the other");
  std::vector<std::string> spam, ham;
  app.add_option("--spam", spam, "folders with spam, a message in each file")->required();
  app.add_option("--ham", ham, "folders with good mail")->required();
  CLI11_PARSE(app, argc, argv);
  Model model;
  const auto start = std::chrono::steady_clock::now();
  std::size_t count = 0;
  std::vector<double> judged[2];
  const std::vector<std::string> corpus[2] = {read(spam), read(ham)};
  for (int kind = 0; kind < 2; ++kind)
    for (std::size_t i = 0; i < corpus[kind].size(); ++i)
      if (i % kEvery != 0) ++count, model.learn(corpus[kind][i], kind == 0 ? &Counts::spam : &Counts::ham);
  for (int kind = 0; kind < 2; ++kind)
    for (std::size_t i = 0; i < corpus[kind].size(); i += kEvery)
      ++count, judged[kind].push_back(model.spam(corpus[kind][i]));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fmt::print("learnt {} spam, {} ham, {} tokens; {:.2f} ms a message\n", model.messages.spam, model.messages.ham,
             model.tokens.size(), 1000 * seconds / static_cast<double>(std::max<std::size_t>(count, 1)));
  report("spam", judged[0]);
  report("ham", judged[1]);
}
