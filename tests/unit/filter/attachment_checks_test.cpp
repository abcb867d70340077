// Attachments by content, name and archive, and what the operator's lists make of them.
#include "filter/attachment_checks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "archives.hpp"
#include "filter/attachments_engine.hpp"
#include "support/loop.hpp"

namespace merpati::filter {
namespace {

using test::Attached;
using testing::HasSubstr;

AttachmentPolicy policy(const std::vector<std::string>& refuse, const std::vector<std::string>& junk = {}) {
  AttachmentPolicy out;
  out.refuse = *AttachmentList::parse(refuse);
  out.junk = *AttachmentList::parse(junk);
  return out;
}

Findings check(const std::vector<Attached>& attachments, const AttachmentPolicy& with = {}) {
  return check_attachments(test::message_with(attachments), with);
}

std::string symbols(const Findings& findings) {
  std::string out;
  for (const auto& refusal : findings.refusals) out += (out.empty() ? "!" : " !") + refusal.symbol;
  for (const auto& symbol : findings.symbols) out += (out.empty() ? "" : " ") + symbol.name;
  return out;
}

TEST(Attachments, AProgramIsRefusedByContentAndByName) {
  const auto found = check({{"holiday.pdf", test::program(), "application/pdf"}});
  EXPECT_EQ(symbols(found), "!ATTACHMENT_EXECUTABLE ATTACHMENT_DISGUISED");
  EXPECT_EQ(found.refusals[0].text, "The message carries a program: holiday.pdf");
  EXPECT_EQ(found.refusals[0].code, 554);
  EXPECT_TRUE(found.refusals[0].may_be_weighed);
  EXPECT_EQ(symbols(check({{"x.scr", "anything"}})), "!ATTACHMENT_EXECUTABLE");
  EXPECT_EQ(symbols(check({{"x.js", "WScript.Echo(1)"}})), "!ATTACHMENT_SCRIPT");
  EXPECT_EQ(symbols(check({{"report.pdf", "%PDF-1.7"}, {"photo.jpg", "\xFF\xD8\xFF"}})), "");
}

TEST(Attachments, ListsDecide) {
  const std::vector<Attached> program = {{"setup.exe", test::program()}};
  auto found = check(program, policy({}, {"executable"}));
  ASSERT_EQ(symbols(found), "ATTACHMENT_EXECUTABLE");
  EXPECT_TRUE(found.symbols[0].junk);
  found = check(program, policy({}));
  EXPECT_EQ(symbols(found), "ATTACHMENT_EXECUTABLE");
  EXPECT_FALSE(found.symbols[0].junk);
  EXPECT_GT(found.symbols[0].score, 0);
  EXPECT_EQ(symbols(check({{"model.STEP", "x"}}, policy({".step"}))), "!ATTACHMENT_EXTENSION");
  found = check({{"model.step", "x"}}, policy({}, {".STEP"}));
  ASSERT_EQ(symbols(found), "ATTACHMENT_EXTENSION");
  EXPECT_TRUE(found.symbols[0].junk);
  EXPECT_EQ(symbols(check({{"a.7z", "7z\xBC\xAF\x27\x1C rest"}}, policy({"unopened_archive"}))), "!ARCHIVE_UNOPENED");
  const auto wrong = AttachmentList::parse(std::vector<std::string>{"exe"});
  ASSERT_TRUE(wrong.has_error());
  EXPECT_THAT(wrong.error().message(), HasSubstr("exe is neither an extension"));
}

TEST(Attachments, ADiskImageGoesToJunk) {
  const auto found = check({{"setup.iso", "x"}});
  ASSERT_EQ(symbols(found), "ATTACHMENT_DISK_IMAGE");
  EXPECT_TRUE(found.symbols[0].junk);
}

TEST(Attachments, ArchivesAreLookedInto) {
  auto found = check({{"invoice.zip", test::make_zip({{"a/invoice.exe", "x"}})}});
  ASSERT_EQ(symbols(found), "!ATTACHMENT_EXECUTABLE");
  EXPECT_EQ(found.refusals[0].text, "The message carries a program: invoice.zip: a/invoice.exe");
  EXPECT_EQ(symbols(check({{"x.zip", test::make_encrypted_zip({{"invoice.exe", "x"}})}})),
            "!ATTACHMENT_EXECUTABLE ARCHIVE_ENCRYPTED");
  EXPECT_EQ(symbols(check({{"x.zip", test::make_zip({{"one.js", "x"}})}})), "!ATTACHMENT_SCRIPT");
  const auto site = test::make_zip({{"a.html", "x"}, {"b.css", "x"}, {"c.js", "x"}, {"d.js", "x"}});
  EXPECT_EQ(symbols(check({{"site.zip", site}})), "") << "scripts of web sites are no attack";
  AttachmentPolicy closed;
  closed.open_archives = false;
  EXPECT_EQ(symbols(check({{"invoice.zip", test::make_zip({{"invoice.exe", "x"}})}}, closed)), "");
}

TEST(Attachments, ArchivesThatAreTooMuchHaveASymbolEach) {
  const auto bomb = test::make_zip({{"zeros", std::string(40 << 20, '\0')}});
  const auto found = check({{"42.zip", bomb}});
  ASSERT_EQ(symbols(found), "!ARCHIVE_BOMB");
  EXPECT_EQ(found.refusals[0].text, "The message carries an archive that unpacks without end: 42.zip");
  std::string deep = "x";
  for (int i = 0; i < 20; ++i) deep = test::make_zip({{"x.zip", deep}});
  EXPECT_EQ(symbols(check({{"deep.zip", deep}})), "!ARCHIVE_DEPTH");
  const auto zip = test::make_zip({{"a", std::string(1000, 'a')}, {"b", "b"}, {"c", "c"}});
  auto limited = policy({});
  limited.archives.max_files = 2;
  EXPECT_EQ(symbols(check({{"x.zip", zip}}, limited)), "ARCHIVE_FILES");
  limited = policy({});
  limited.archives.max_unpacked = 500;
  const auto large = check({{"x.zip", zip}}, limited);
  ASSERT_EQ(symbols(large), "ARCHIVE_SIZE");
  EXPECT_TRUE(large.symbols[0].not_checked);
  limited = policy({});
  limited.time = std::chrono::milliseconds(-1000);
  EXPECT_EQ(symbols(check({{"x.zip", zip}}, limited)), "ARCHIVE_TIME");
  EXPECT_EQ(symbols(check({{"x.zip", zip.substr(0, 50)}})), "ARCHIVE_UNOPENED");
}

TEST(Attachments, AnArchiveIsNoDocument) {
  const auto document = test::make_zip({{"[Content_Types].xml", "x"}, {"word/document.xml", "x"}});
  EXPECT_EQ(symbols(check({{"letter.docx", document}}, policy({"archive"}))), "");
  EXPECT_EQ(symbols(check({{"x.zip", test::make_zip({{"a", "a"}})}}, policy({"archive"}))), "!ATTACHMENT_ARCHIVE");
}

TEST(Attachments, TricksOfNames) {
  EXPECT_EQ(symbols(check({{"invoice.pdf.exe", "x"}}, policy({}))), "DOUBLE_EXTENSION ATTACHMENT_EXECUTABLE");
  const std::string message =
      "From: a@b\r\nContent-Type: application/octet-stream\r\n"
      "Content-Disposition: attachment; filename*=utf-8''invoice%E2%80%AEfdp.exe\r\n\r\nx";
  EXPECT_EQ(symbols(check_attachments(message, policy({}))), "BIDI_FILE_NAME ATTACHMENT_EXECUTABLE");
}

TEST(Attachments, TextIsNone) {
  const std::string text = "From: a@b\r\n\r\n#!/bin/sh in the text\r\n";
  EXPECT_FALSE(has_attachments(text));
  EXPECT_EQ(symbols(check_attachments(text, policy({"shell_script"}))), "");
  const std::string inside = "From: a@b\r\nContent-Type: message/rfc822\r\n\r\n" + test::message_with({{"x.exe", "x"}});
  EXPECT_TRUE(has_attachments(inside));
  EXPECT_EQ(symbols(check_attachments(inside, {})), "!ATTACHMENT_EXECUTABLE") << "in a message in the message";
}

TEST(Attachments, TheEngineLooksAtSubmittedMailToo) {
  test::Loop loop;  ///< outlives the pool, whose threads call back into it
  asio::thread_pool blocking(1);
  const std::string message = test::message_with({{"x.exe", test::program()}});
  const std::string large = test::message_with({{"x.exe", test::program() + std::string(200'000, 'x')}});
  MessageView view;
  view.whole = true;
  view.authenticated_account = 7;
  for (const auto* text : {&message, &large}) {
    view.message = *text;
    AttachmentsEngine engine({}, blocking);
    EXPECT_EQ(symbols(*loop.run(engine.check(view))), "!ATTACHMENT_EXECUTABLE");
    AttachmentsEngine outside_only({.check_submitted = false}, blocking);
    EXPECT_EQ(symbols(*loop.run(outside_only.check(view))), "");
  }
  AttachmentsEngine engine({}, blocking);
  view.whole = false;
  view.message = {};
  EXPECT_TRUE(loop.run(engine.check(view))->symbols.at(0).not_checked);
}

}  // namespace
}  // namespace merpati::filter
