// The sections of src/mapping/native.ts as JavaScript holds them: mapping objects, and their views.
#pragma once

#include <napi.h>

#include <memory>

#include "binding_arguments.h"
#include "section.h"
#include "section_view.h"

namespace foliodb {

/** Adds the functions of sections to the addon's exports. */
void defineSections(Napi::Env env, Napi::Object exports);

struct Addon;
/** The environment ends: names lose this user. Views stay mapped, for somebody's native code may be at work in them. */
void endSections(Addon& addon);

/** Lets go of the hand-overs that are over: of their threads, too. */
void endHandings(Addon& addon);

/** Throws for an outcome that is not ok: a SystemError where there is a number, with the property `refusal` if it is one. */
void throwOutcome(Napi::Env env, const platform::Outcome& outcome, const std::string& path);

/** A mapping object. */
class SectionObject : public Napi::ObjectWrap<SectionObject> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value make(Napi::Env env, platform::Section section);
  explicit SectionObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value traits(const Napi::CallbackInfo& info);
  Napi::Value takeFaults(const Napi::CallbackInfo& info);
  Napi::Value map(const Napi::CallbackInfo& info);
  Napi::Value inherit(const Napi::CallbackInfo& info);
  Napi::Value hand(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);
  /** False, with an exception pending, once the section is closed. */
  bool isOpen(Napi::Env env) const;

  std::shared_ptr<platform::Section> section_;
  std::shared_ptr<guard::FaultWord> faults_;
};

/** A view. */
class SectionViewObject : public Napi::ObjectWrap<SectionViewObject> {
 public:
  /** What a new object takes over. */
  struct Adoption {
    std::shared_ptr<SectionView> view;
    std::string path;
    size_t skip;
  };

  static Napi::Function define(Napi::Env env);
  explicit SectionViewObject(const Napi::CallbackInfo& info);
  ~SectionViewObject() override;

 private:
  Napi::Value base(const Napi::CallbackInfo& info);
  Napi::Value takeBuffer(const Napi::CallbackInfo& info);
  Napi::Value faults(const Napi::CallbackInfo& info);
  void flush(const Napi::CallbackInfo& info);
  void flushAsync(const Napi::CallbackInfo& info);
  void advise(const Napi::CallbackInfo& info);
  Napi::Value resident(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);
  bool isOpen(Napi::Env env) const;
  /** Reads offset and length, both relative to the mapped base. False, with an exception pending, if they aren't inside. */
  bool readRange(Napi::Env env, Arguments& arguments, size_t* at, size_t* length) const;
  void weigh(int64_t change);

  std::shared_ptr<SectionView> view_;
  bool hasBuffer_ = false;
  std::string path_;
  /** Bytes between the mapped base and the ArrayBuffer's first. */
  size_t skip_ = 0;
};

}  // namespace foliodb
