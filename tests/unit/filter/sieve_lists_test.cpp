// The operator's lists for scripts: from configuration and files.
#include "filter/sieve_lists.hpp"

#include <gmock/gmock.h>

#include <fstream>

#include "merpati/config/v1/filter.pb.h"

namespace merpati::filter {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

config::v1::SieveList& add(config::v1::FilterSieve& config, const std::string& name) {
  auto& list = *config.add_lists();
  list.set_name(name);
  return list;
}

TEST(SieveLists, EntriesAndFiles) {
  const std::string file = testing::TempDir() + "partners.txt";
  std::ofstream(file) << "# who we work with\n Bob@Example.com \n\ncarol@example.org # since 2026\n";
  config::v1::FilterSieve config;
  auto& partners = add(config, "tag:example.com,2026:partners");
  partners.add_entries("alice@example.com");
  partners.set_file(file);
  add(config, ":addrbook:default").add_entries("dave@example.com");
  const auto lists = SieveLists::load(config).value();
  EXPECT_TRUE(lists.contains("tag:example.com,2026:partners", "bob@example.COM"));
  EXPECT_FALSE(lists.contains("tag:example.com,2026:partners", "dave@example.com"));
  EXPECT_THAT(lists.members("tag:example.com,2026:partners"),
              ElementsAre("alice@example.com", "bob@example.com", "carol@example.org"));
  EXPECT_TRUE(lists.contains("urn:ietf:params:sieve:addrbook:default", "dave@example.com"));
  EXPECT_TRUE(lists.contains(":addrbook:default", "dave@example.com"));
  EXPECT_FALSE(lists.known(":addrbook:friends"));
  EXPECT_EQ(lists.size(":addrbook:friends"), 0U);
}

TEST(SieveLists, WhatIsWrongIsSaid) {
  const auto error_of = [](auto change) {
    config::v1::FilterSieve config;
    change(config);
    const auto lists = SieveLists::load(config);
    return lists.has_error() ? lists.error().message() : "";
  };
  EXPECT_THAT(error_of([](auto& config) { add(config, "partners"); }), HasSubstr("it is a URI"));
  EXPECT_THAT(error_of([](auto& config) {
                add(config, ":a");
                add(config, "urn:ietf:params:sieve:a");
              }),
              HasSubstr("two lists"));
  EXPECT_THAT(error_of([](auto& config) { add(config, "tag:a").set_file("/nowhere/at/all"); }),
              HasSubstr("cannot read /nowhere/at/all"));
}

}  // namespace
}  // namespace merpati::filter
