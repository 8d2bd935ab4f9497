#include "service/diagnosis.h"

#include <memory>
#include <string>

#include "base/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "memory/keys.h"
#include "memory/presets.h"
#include "tests/testing/faulty_store.h"
#include "tests/testing/map_store.h"

namespace mneme::service {
namespace {

using ::testing::HasSubstr;

bool Never() { return false; }

class DiagnosisTest : public ::testing::Test {
 protected:
  DiagnosisTest() { Open(); }

  void Open() {
    memory_.reset();
    memory_ =
        memory::Memory::Open(
            std::make_unique<testing::FaultyStore>(disk_, faults_), &clock_)
            .value();
    patient_.memory = memory_.get();
    patient_.now = clock_.Now();
  }
  void Say(const std::string& text) {
    auto session = memory_->Find(kName);
    if (!session.ok()) {
      session = memory_->Create(kName, memory::ProfileByName("text").value());
    }
    (*session)
        ->AppendText({.text = text}, memory::AppendOptions())
        .status()
        .IgnoreError();
  }

  v1::DiagnoseResponse Run() {
    const auto response = Diagnose(patient_, Never);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.value_or(v1::DiagnoseResponse());
  }
  // The worst of a subject.
  static v1::Finding Of(const v1::DiagnoseResponse& response,
                        const std::string& subject) {
    for (const v1::Finding& finding : response.findings()) {
      if (finding.subject() == subject) return finding;
    }
    return {};
  }

  const memory::SessionName kName{.space = "n", .session = "s"};
  const base::RealClock clock_;
  const std::shared_ptr<testing::MapDisk> disk_ =
      std::make_shared<testing::MapDisk>();
  const std::shared_ptr<testing::Faults> faults_ =
      std::make_shared<testing::Faults>();
  std::unique_ptr<memory::Memory> memory_;
  Patient patient_;
};

TEST_F(DiagnosisTest, AHealthyServerHasOnlyOk) {
  Say("All is well.");
  const v1::DiagnoseResponse response = Run();
  EXPECT_GE(response.findings_size(), 5);
  for (const v1::Finding& finding : response.findings()) {
    EXPECT_EQ(finding.severity(), v1::Finding::SEVERITY_OK)
        << finding.ShortDebugString();
    EXPECT_EQ(finding.advice(), "");
  }
}

TEST_F(DiagnosisTest, AStoreThatRefusesWritesIsAnErrorAndFirst) {
  Say("Before.");
  {
    base::MutexLock lock(&faults_->mutex);
    faults_->fail_at = faults_->writes;
  }
  Say("The disk fails.");
  const v1::DiagnoseResponse response = Run();
  EXPECT_EQ(response.findings(0).severity(), v1::Finding::SEVERITY_ERROR);
  EXPECT_EQ(response.findings(0).subject(), "store");
  EXPECT_THAT(response.findings(0).advice(), HasSubstr("restart"));
}

TEST_F(DiagnosisTest, DamageNamesTheSessionAndTheRange) {
  Say("One.");
  Say("Two.");
  ASSERT_TRUE(testing::Damage(*disk_, memory::EntryKey(1, 2)));
  Open();
  const v1::Finding finding = Of(Run(), "sessions");
  EXPECT_EQ(finding.severity(), v1::Finding::SEVERITY_ERROR);
  EXPECT_THAT(finding.detail(), HasSubstr("namespaces/n/sessions/s"));
  EXPECT_THAT(finding.detail(), HasSubstr("entry 2"));
  EXPECT_THAT(finding.advice(), HasSubstr("restore"));
}

TEST_F(DiagnosisTest, AClockThatWentBackIsSeen) {
  Say("Now.");
  patient_.now -= std::chrono::hours(48);
  const v1::Finding finding = Of(Run(), "clock");
  EXPECT_EQ(finding.severity(), v1::Finding::SEVERITY_WARNING);
  EXPECT_THAT(finding.detail(), HasSubstr("namespaces/n/sessions/s"));
}

TEST_F(DiagnosisTest, SnapshotsBesideForgottenThingsAreAWarning) {
  Say("A secret.");
  patient_.snapshots = std::vector<memory::Snapshot>{{.name = "old"}};
  EXPECT_EQ(Of(Run(), "snapshots").severity(), v1::Finding::SEVERITY_OK);
  ASSERT_TRUE(memory_->Forget(kName, memory::EntryNumber{1}, false).ok());
  const v1::Finding finding = Of(Run(), "snapshots");
  EXPECT_EQ(finding.severity(), v1::Finding::SEVERITY_WARNING);
  EXPECT_THAT(finding.advice(), HasSubstr("verify --forgotten"));
}

TEST_F(DiagnosisTest, AnOpenDoorIsAWarning) {
  patient_.open_to_all = true;
  EXPECT_EQ(Of(Run(), "access").severity(), v1::Finding::SEVERITY_WARNING);
}

TEST(Diagnosis, AFullDiskIsAnErrorAndAFillingOneAWarning) {
  EXPECT_EQ(FindingOfDisk(100 << 20, uint64_t{1} << 40).severity(),
            v1::Finding::SEVERITY_ERROR);
  EXPECT_EQ(FindingOfDisk(1 << 30, uint64_t{1} << 40).severity(),
            v1::Finding::SEVERITY_WARNING);
  EXPECT_EQ(FindingOfDisk(uint64_t{1} << 39, uint64_t{1} << 40).severity(),
            v1::Finding::SEVERITY_OK);
  EXPECT_EQ(FindingOfFiles(256).severity(), v1::Finding::SEVERITY_WARNING);
  EXPECT_EQ(FindingOfFiles(1024).severity(), v1::Finding::SEVERITY_OK);
}

}  // namespace
}  // namespace mneme::service
