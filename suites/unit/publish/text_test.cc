#include "harness/publish/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace lockstep::publish {
namespace {

TEST(Printable, ShowsControlCharactersAndReplacesWhatIsNoUtf8) {
  EXPECT_EQ(Printable("a\x1b[31m\x01\x7f"), "a\\x1b[31m\\x01\\x7f");
  EXPECT_EQ(Printable("tab\there\nnext\r\nlast\r"), "tab\there\nnext\nlast\\x0d");
  EXPECT_EQ(Printable("µ…漢😀"), "µ…漢😀");
  EXPECT_EQ(Printable("\xff"), "\uFFFD");
  EXPECT_EQ(Printable("\xc3("), "\uFFFD(");                    // cut short
  EXPECT_EQ(Printable("\xc0\x80"), "\uFFFD\uFFFD");            // overlong
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD");  // surrogate
  EXPECT_EQ(Printable("\xef\xbf\xbe"), "\uFFFD");              // not allowed in XML
  EXPECT_EQ(Printable("\xc2\x9b"), "\\x9b");                   // a terminal's other escape
  EXPECT_EQ(Printable(std::string("\0", 1)), "\\x00");
}

TEST(Escapes, LeaveNoMarkup) {
  EXPECT_EQ(XmlAttribute("<a b=\"c\">&'\n"), "&lt;a b=&quot;c&quot;&gt;&amp;&apos;&#10;");
  EXPECT_EQ(XmlText("]]>\x01"), "]]&gt;\\x01");
  EXPECT_EQ(MarkdownText("<b>|`*_[x](y)\n#"), "&lt;b&gt;\\|\\`\\*\\_\\[x\\](y) \\#");
}

TEST(Columns, CountCodePointsAndCutsKeepThemWhole) {
  EXPECT_EQ(Columns("µ…x"), 3u);
  EXPECT_EQ(CutEnd("abcdef", 6), "abcdef");
  EXPECT_EQ(CutEnd("abcdef", 4), "abc…");
  EXPECT_EQ(CutMiddle("abcdefgh", 5), "ab…gh");
  EXPECT_EQ(CutEnd("µµµµ", 3), "µµ…");
  EXPECT_EQ(Pad("µ", 3), "µ  ");
  EXPECT_EQ(PadLeft("µ", 3), "  µ");
}

TEST(Wrap, BreaksAtSpacesAndInsideLongWords) {
  EXPECT_THAT(Wrap("one two three", 8), testing::ElementsAre("one two", "three"));
  EXPECT_THAT(Wrap("abcdefgh", 3), testing::ElementsAre("abc", "def", "gh"));
  EXPECT_THAT(Wrap("a\nb", 8), testing::ElementsAre("a", "b"));
}

TEST(Numbers, ReadWell) {
  EXPECT_EQ(WithCommas(0), "0");
  EXPECT_EQ(WithCommas(999), "999");
  EXPECT_EQ(WithCommas(12345678), "12,345,678");
  EXPECT_EQ(WithCommas(-123456), "-123,456");
  EXPECT_EQ(Significant(0.934), "0.93");
  EXPECT_EQ(Significant(3), "3");
  EXPECT_EQ(Significant(4812.3), "4,812");
  EXPECT_EQ(Significant(3.2e-8), "3.20e-08");
  EXPECT_EQ(Significant(std::nan("")), "NaN");
  EXPECT_EQ(Bytes(999), "999 B");
  EXPECT_EQ(Bytes(79216), "79.2 kB");
  EXPECT_EQ(Bytes(999960), "1.0 MB");
  EXPECT_EQ(Seconds(0.0123), "0.0123 s");
  EXPECT_EQ(Seconds(123.4), "2 min 03 s");
}

}  // namespace
}  // namespace lockstep::publish
