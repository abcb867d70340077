#include "ctl/output.hpp"

#include <gtest/gtest.h>

#include "ctl/commands.hpp"
#include "merpati/admin/v1/admin.pb.h"

namespace merpati::ctl {
namespace {

std::string printed(Format format, const Json& rows, const std::vector<Column>& columns) {
  testing::internal::CaptureStdout();
  print_rows(format, rows, columns);
  return testing::internal::GetCapturedStdout();
}

TEST(Output, NumbersStayNumbersAndEnumsAreShort) {
  queue::v1::Item item;
  item.set_item_id(9007199254740993);
  item.set_state(queue::v1::ITEM_STATE_HELD);
  const auto json = to_json(item);
  EXPECT_EQ(json["item_id"].dump(), "9007199254740993");
  EXPECT_EQ(json["state"], "held");
  EXPECT_EQ(json["last_error"], "") << "an empty field is there, so that scripts need not ask";
}

TEST(Output, TablesAreAlignedByCharactersAndHarmless) {
  const Json rows = {{{"a", "M\xc3\xbcller"}, {"n", 1536}}, {{"a", "evil\x1b[2J\n"}, {"n", 5}}};
  EXPECT_EQ(printed(Format::kTable, rows, {{"NAME", "a"}, {"SIZE", "n", Column::Kind::kSize}}),
            "NAME       SIZE\n"
            "M\xc3\xbcller     1.5 KiB\n"
            "evil [2J   5\n");
}

TEST(Output, MissingCellsAreDashes) {
  EXPECT_EQ(printed(Format::kTable, Json::array({Json::object()}), {{"X", "deep/key"}}), "X\n-\n");
}

TEST(Output, JsonAndYamlHoldEveryField) {
  const Json rows = Json::array({{{"a", "x: y"}, {"on", true}}});
  EXPECT_EQ(Json::parse(printed(Format::kJson, rows, {{"A", "a"}})), rows);
  EXPECT_EQ(printed(Format::kYaml, rows, {}), "- a: \"x: y\"\n  on: true\n");
}

TEST(Completion, KnowsEveryCommandOfTheTree) {
  Session session;
  CLI::App app;
  add_queue_commands(app, session);
  const auto script = completion_script(app, "bash");
  EXPECT_NE(script.find("\"queue\") words=\"list show retry drop "), std::string::npos) << script;
  EXPECT_NE(script.find("--bounce"), std::string::npos);
  EXPECT_TRUE(completion_script(app, "tcsh").empty());
}

}  // namespace
}  // namespace merpati::ctl
