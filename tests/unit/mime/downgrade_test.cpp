#include "merpati/mime/downgrade.hpp"

#include <gtest/gtest.h>

namespace merpati::mime {
namespace {

TEST(Downgrade, MakesAHeaderAscii) {
  EXPECT_EQ(downgrade_header("Received: from x\r\n\tfor <\xC3\xBC@b.test>; date\r\n"
                             "From: J\xC3\xBCrgen <j@b.test>, \xC3\xBC@b.test\r\n"
                             "To: Team: a@b.test,\r\n \xC3\xA4 <\xC3\xA4@\xC3\xA4.test>;\r\n"
                             "Subject: gr\xC3\xBC\xC3\x9F\r\n"
                             "X-Plain:  stays \r\n as it is\r\n"
                             "X-Latin: \xE4\r\n"
                             "Content-Type: text/plain; name=\"\xC3\xA4.txt\"; charset=utf-8\r\n"
                             "\r\n"),
            "From: =?utf-8?B?SsO8cmdlbg==?= <j@b.test>,\r\n"
            " =?utf-8?B?w7xAYi50ZXN0?= <invalid@internationalized-address.invalid>\r\n"
            "To: \"Team\": a@b.test,\r\n =?utf-8?B?w6Q=?= <invalid@internationalized-address.invalid>;\r\n"
            "Subject: =?utf-8?B?Z3LDvMOf?=\r\n"
            "X-Plain:  stays \r\n as it is\r\n"
            "X-Latin: \xE4\r\n"
            "Content-Type: text/plain;\r\n name*=utf-8''%C3%A4.txt;\r\n charset=\"utf-8\"\r\n"
            "\r\n");
  EXPECT_EQ(downgrade_header("Subject: x\r\n\r\n"), "Subject: x\r\n\r\n");
}

}  // namespace
}  // namespace merpati::mime
