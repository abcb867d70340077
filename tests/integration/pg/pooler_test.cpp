// A pool behind Debian's PgBouncer, which is older than the support of prepared statements.
#include <gtest/gtest.h>

#include "merpati/pg/pool.hpp"
#include "support/loop.hpp"
#include "support/not_run.hpp"
#include "support/pgbouncer.hpp"

namespace merpati::pg {
namespace {
using namespace std::chrono_literals;

struct Pooler : testing::Test {
  void SetUp() override {
    if (test::PgBouncer::installed()) return;
    test::print_not_run("pgbouncer", "Debian's package pgbouncer is not installed");
    if (test::required("pgbouncer")) FAIL();
    GTEST_SKIP();
  }
  /// What the first connection of a pool through PgBouncer comes to.
  Result<void> start(const std::string& settings, const std::string& schema) {
    const test::PgBouncer pooler(server, settings);
    test::Loop loop;
    PoolOptions options;
    options.dsn = pooler.dsn();
    options.schema = schema;
    Result<void> result;
    {
      Pool pool({loop.context.get_executor()}, options);
      result = loop.run(pool.start(Deadline::after(10s)));
    }
    loop.catch_up();
    return result;
  }
  test::Postgres server;
};

TEST_F(Pooler, OneThatMixesPreparedStatementsIsRefusedWithAdvice) {
  const auto refused = start("pool_mode = transaction\nignore_startup_parameters = options\n", "");
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code(), ErrorCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message().find("PgBouncer 1.21"), std::string::npos) << refused.error().message();
}

TEST_F(Pooler, OneThatDropsTheSettingsIsRefusedWithAdvice) {
  const auto refused = start("pool_mode = session\nignore_startup_parameters = options\n", "cart");
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code(), ErrorCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message().find("search_path = cart"), std::string::npos) << refused.error().message();
}

TEST_F(Pooler, OneForWholeSessionsServes) {
  server.sql("alter role postgres set search_path = cart, public");
  const auto served = start("pool_mode = session\nignore_startup_parameters = options\n", "cart");
  EXPECT_TRUE(served.has_value()) << served.error().describe();
}

}  // namespace
}  // namespace merpati::pg
