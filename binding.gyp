{
  "targets": [
    {
      "target_name": "foliodb",
      "sources": [
        "native/binding.cc",
        "native/binding_addon.cc",
        "native/binding_commit.cc",
        "native/binding_file.cc",
        "native/binding_file_commit.cc",
        "native/binding_file_locks.cc",
        "native/binding_file_windows.cc",
        "native/binding_memory.cc",
        "native/binding_operation.cc",
        "native/binding_section.cc",
        "native/binding_section_view.cc",
        "native/commit.cc",
        "native/crc32c.cc",
        "native/created_file.cc",
        "native/fair_lock.cc",
        "native/opening.cc",
        "native/section_view.cc",
        "native/view.cc",
        "native/worker.cc"
      ],
      "defines": [
        "NAPI_VERSION=8",
        "NAPI_DISABLE_CPP_EXCEPTIONS",
        "NODE_ADDON_API_DISABLE_DEPRECATED",
        # A worker that is being terminated can neither be asked nor be thrown at; without this that ends the process.
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
      ],
      "conditions": [
        ["OS=='win'", {
          "sources": [
            "native/guard_win32.cc",
            "native/platform_win32.cc",
            "native/platform_win32_errors.cc",
            "native/platform_win32_locks.cc",
            "native/platform_win32_names.cc",
            "native/platform_win32_thread.cc",
            "native/section_win32.cc",
            "native/section_win32_handing.cc",
            "native/section_win32_security.cc",
            "native/section_win32_views.cc"
          ],
          "defines": ["_WIN32_WINNT=0x0A00"],
          "libraries": ["advapi32.lib"],
          "msvs_settings": {
            "VCCLCompilerTool": {
              "WarningLevel": 4,
              "WarnAsError": "true",
              # The warnings of others don't fail this build. Comes after the switches of Node.js's own configuration.
              "AdditionalOptions": [
                "/std:c++17", "/external:W0",
                "/external:I", "<!(node -p \"path.dirname(require.resolve('node-addon-api'))\")"
              ]
            }
          }
        }, {
          "sources": [
            "native/guard_posix.cc",
            "native/platform_posix.cc",
            "native/platform_posix_errors.cc",
            "native/platform_posix_locks.cc",
            "native/platform_posix_names.cc",
            "native/platform_posix_thread.cc",
            "native/section_posix.cc",
            "native/section_posix_handing.cc",
            "native/section_posix_names.cc",
            "native/section_posix_views.cc"
          ]
        }]
      ],
      # As system headers, so that the warnings of others don't fail this build.
      "cflags_cc": [
        "-isystem", "<!(node -p \"path.dirname(require.resolve('node-addon-api'))\")",
        "-std=c++17", "-O2", "-fno-exceptions", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"
      ],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-O3"],
      "ldflags": [
        # The guard's handlers must outlive the last worker that loaded the addon.
        "-Wl,-z,nodelete",
        # Runs on machines without these libraries, and takes no symbol of theirs from the host program.
        "-static-libstdc++", "-static-libgcc", "-Wl,--exclude-libs,ALL"
      ],
      "xcode_settings": {
        "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
        "GCC_ENABLE_CPP_EXCEPTIONS": "NO",
        "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
        "MACOSX_DEPLOYMENT_TARGET": "11.0",
        "OTHER_CPLUSPLUSFLAGS": [
          "-isystem", "<!(node -p \"path.dirname(require.resolve('node-addon-api'))\")", "-Wall", "-Wextra", "-Werror"
        ]
      }
    }
  ]
}
