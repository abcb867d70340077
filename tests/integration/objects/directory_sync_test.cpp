// What DirectoryStore says is durable has been told to the kernel, in the right order: strace watches a process of its
// own.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "merpati/base/encoding.hpp"
#include "merpati/base/ids.hpp"
#include "merpati/objects/directory_store.hpp"
#include "support/not_run.hpp"
#include "unit/objects/run.hpp"

namespace merpati::objects {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

Deadline soon() { return Deadline::after(30s); }

/// Run below in a process of its own. Says by a harmless call what was acknowledged.
TEST(DirectorySyncProcess, DISABLED_PutsAndSays) {
  const char* root = std::getenv("SYNC_ROOT");
  ASSERT_NE(root, nullptr);
  asio::thread_pool pool(1);
  const auto store = DirectoryStore::open({.root = root}, pool).value();
  ASSERT_TRUE(run(store->put("small", "bytes", soon())));
  ::unlink("/nowhere/small");
  auto writer = run(store->open_writer("large", soon())).value();
  ASSERT_TRUE(run(writer->write("one", soon())));
  ASSERT_TRUE(run(writer->write("two", soon())));
  ASSERT_TRUE(run(writer->commit(soon())));
  ::unlink("/nowhere/large");
}

/// The lines of a trace, without the pids.
std::vector<std::string> lines_of(const fs::path& file) {
  std::vector<std::string> out;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) out.push_back(line.substr(line.find(' ') + 1));
  return out;
}

/// Where the first line after `from` that has all the words is; the end otherwise.
std::size_t find(const std::vector<std::string>& lines, std::size_t from, const std::vector<std::string>& words) {
  for (auto at = from; at < lines.size(); ++at) {
    bool all = true;
    for (const auto& word : words) all = all && lines[at].find(word) != std::string::npos;
    if (all) return at;
  }
  return lines.size();
}

TEST(DirectorySync, FileThenNameThenFoldersAreOnDiskBeforeAnAnswer) {
  const auto root = fs::temp_directory_path() / ("merpati-sync-" + new_uuid());
  const auto trace = root.string() + ".trace";
  // The folder of "large" is there already, as a process that was killed after making it would leave it.
  const auto folder = [](const std::string& key) { return to_hex(sha256(key)).substr(0, 3); };
  fs::create_directories(root / "objects" / folder("large"));
  // LeakSanitizer traces its process too, which can have one tracer.
  const std::string command =
      "ASAN_OPTIONS=detect_leaks=0 SYNC_ROOT='" + root.string() + "' strace -f -y -e trace=fsync,rename,unlink -o '" +
      trace + "' '" + fs::read_symlink("/proc/self/exe").string() +
      "' --gtest_also_run_disabled_tests --gtest_filter='DirectorySyncProcess.*' >/dev/null 2>&1";
  const int status = std::system(command.c_str());
  const auto lines = lines_of(trace);
  const bool stored = fs::exists(root / "objects" / folder("small") / "small");
  std::error_code ignored;
  fs::remove_all(root, ignored);
  fs::remove(trace, ignored);
  if (lines.empty()) {
    test::print_not_run("integration", "strace cannot trace here");
    if (test::required("integration")) FAIL() << "required, but strace cannot trace here";
    GTEST_SKIP() << "strace cannot trace here";
  }
  ASSERT_EQ(status, 0);
  ASSERT_TRUE(stored);
  std::size_t at = 0;
  for (const std::string key : {"small", "large"}) {
    const auto told = find(lines, at, {"unlink(\"/nowhere/" + key});
    const auto renamed = find(lines, at, {"rename(", "/objects/" + folder(key) + "/" + key, "= 0"});
    const auto file = find(lines, at, {"fsync(", "/tmp/", "= 0"});
    ASSERT_LT(told, lines.size());
    EXPECT_LT(file, renamed) << key << ": the bytes before the name";
    EXPECT_LT(find(lines, renamed, {"fsync(", "/objects/" + folder(key) + ">"}), told) << key << ": the name";
    EXPECT_LT(find(lines, renamed, {"fsync(", "/objects>"}), told) << key << ": the folder's own name";
    at = told;
  }
}

}  // namespace
}  // namespace merpati::objects
