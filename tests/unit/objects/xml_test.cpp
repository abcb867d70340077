#include "../../../libs/objects/src/xml.hpp"

#include <gtest/gtest.h>

namespace merpati::objects {
namespace {

TEST(Xml, ReadsAListAnswer) {
  const auto parsed = parse_xml(
      "\n <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- hello -->"
      "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><IsTruncated>true</IsTruncated>"
      "<Contents><Key>a&amp;b&#x41;&#228;</Key><Size>5</Size><Owner/></Contents>"
      "<Contents><Key><![CDATA[<raw>]]></Key><Size unit='>'>6</Size></Contents></ListBucketResult>\n");
  ASSERT_TRUE(parsed) << parsed.error().describe();
  EXPECT_EQ(parsed->name, "ListBucketResult");
  EXPECT_EQ(parsed->text_of("IsTruncated"), "true");
  ASSERT_EQ(parsed->children.size(), 3U);
  EXPECT_EQ(parsed->children[1].text_of("Key"), "a&bA\xC3\xA4");
  EXPECT_EQ(parsed->children[2].text_of("Key"), "<raw>");
  EXPECT_EQ(parsed->children[2].text_of("Size"), "6");
  EXPECT_EQ(parsed->text_of("Missing"), "");
}

TEST(Xml, BrokenAnswersAreErrors) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<a>";
  for (const std::string text : {"", "<", "<a", "<a>", "<a></b>", "<a>&x;</a>", "<a>&#0;</a>", "<a>&amp</a>",
                                 "<a/><b/>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "text", "<a><!-- </a>"})
    EXPECT_TRUE(parse_xml(text).has_error()) << text;
  EXPECT_TRUE(parse_xml(deep).has_error());
}

TEST(Xml, Escapes) { EXPECT_EQ(xml_escape("<a&\"b\">"), "&lt;a&amp;&quot;b&quot;&gt;"); }

}  // namespace
}  // namespace merpati::objects
