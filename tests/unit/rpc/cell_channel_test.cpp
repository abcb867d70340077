// Calls go to the cell that they name.
#include "merpati/rpc/cell_channel.hpp"

#include "fixture.hpp"

namespace merpati::rpc {
namespace {

TEST(CellChannel, EachCallGoesToItsCell) {
  Caller caller;
  Backend first(Role::kSmtp), south(Role::kSmtp);
  store::v1::StoreClient store(
      cell_channel({{"", connect(first.address(), true)}, {"south", connect(south.address(), true)}}));
  CallOptions options;
  EXPECT_TRUE(caller.run(store.deliver({}, options)));
  options.cell = "south";
  EXPECT_TRUE(caller.run(store.deliver({}, options)));
  EXPECT_TRUE(caller.run(store.deliver({}, options)));
  EXPECT_EQ(first.service.calls, 1);
  EXPECT_EQ(south.service.calls, 2);
}

TEST(CellChannel, AnUnknownCellIsSaid) {
  Caller caller;
  Backend first(Role::kSmtp);
  store::v1::StoreClient store(cell_channel({{"", connect(first.address(), true)}}));
  CallOptions options;
  options.cell = "west";
  const auto refused = caller.run(store.deliver({}, options));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(refused.error().message().find("west"), std::string::npos);
  EXPECT_EQ(first.service.calls, 0);
}

}  // namespace
}  // namespace merpati::rpc
