#include "merpati/mime/html.hpp"

#include <gtest/gtest.h>

namespace merpati::mime {
namespace {

TEST(HtmlLinks, HaveWhereTheyLeadAndWhatPeopleSee) {
  const auto links = html_links(
      "<p>x</p><a href=\"http://a.test/?x=1&amp;y=2\">one <b>two</b>\r\n</a> <a name=x>no link</a>"
      "<A CLASS='b c'HREF= http://c.test/ title=\">\">three</A>");
  ASSERT_EQ(links.size(), 2u);
  EXPECT_EQ(links[0].href, "http://a.test/?x=1&y=2");
  EXPECT_EQ(links[0].text, "one two");
  EXPECT_EQ(links[1].href, "http://c.test/");
  EXPECT_EQ(links[1].text, "three");
}

TEST(HtmlLinks, BrokenMarkupEnds) {
  EXPECT_EQ(html_links("<a href=x>open").at(0).text, "open");
  EXPECT_EQ(html_links("<a href=x>one<a href=y>two").size(), 2u);
  EXPECT_EQ(html_links("1 < 2 <a href=x>y</a>").size(), 1u);
  EXPECT_TRUE(html_links("<!-- <a href=x>y</a>").empty());
  EXPECT_TRUE(html_links("<").empty());
  EXPECT_EQ(html_links("<a href=x>y</a><a href=x>y</a>", 1).size(), 1u);
  EXPECT_EQ(html_links("<a href=x>y<a href=x>y", 1).size(), 1u);
}

}  // namespace
}  // namespace merpati::mime
