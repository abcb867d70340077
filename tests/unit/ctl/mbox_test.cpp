#include "ctl/mbox.hpp"

#include <gtest/gtest.h>

namespace merpati::ctl {
namespace {
using Messages = std::vector<std::string>;

TEST(Mbox, AFileIsOneMessageOrMany) {
  EXPECT_EQ(messages_in("Subject: a\n\nFrom here on\n"), Messages{"Subject: a\n\nFrom here on\n"});
  EXPECT_EQ(messages_in("From a@b Mon Jan  1 00:00:00 2024\nSubject: a\n\none\n\n"
                        "From c@d Mon Jan  1 00:00:00 2024\nSubject: b\n\ntwo\nFrom the middle\n>From a quote\n"),
            (Messages{"Subject: a\n\none\n\n", "Subject: b\n\ntwo\nFrom the middle\nFrom a quote\n"}));
  EXPECT_EQ(messages_in("From x\r\nSubject: a\r\n\r\n>>From y\r\n\r\nFrom z\r\nSubject: b\r\n\r\n"),
            (Messages{"Subject: a\r\n\r\n>From y\r\n\r\n", "Subject: b\r\n\r\n"}));
  EXPECT_EQ(messages_in(""), Messages{});
  EXPECT_EQ(messages_in("From x"), Messages{""});
}

}  // namespace
}  // namespace merpati::ctl
