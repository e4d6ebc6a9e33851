# The packages that cpack creates for `./dev package`: a .deb from the dynamic build, and from the static build a tar.gz
# that requires only a Linux kernel. Their date is SOURCE_DATE_EPOCH, so that the same commit gives the same bytes. Their
# names consist of characters that GitHub does not replace in the files of a release.

set(CPACK_PACKAGE_NAME memolock)
set(CPACK_PACKAGE_VENDOR "the memolock authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "store the output of a command and run it once for all callers")
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_MEMOLOCK_SOURCE ${PROJECT_SOURCE_DIR})
set(CPACK_MEMOLOCK_DOCUMENTS README.md SECURITY.md CHANGELOG.md examples)
list(TRANSFORM CPACK_MEMOLOCK_DOCUMENTS PREPEND ${PROJECT_SOURCE_DIR}/)

if(MEMOLOCK_STATIC)
  # cpack's own generator of a tar.gz writes the files in the order of the directory, with the owner of the build.
  set(CPACK_GENERATOR External)
  set(CPACK_EXTERNAL_ENABLE_STAGING ON)
  set(CPACK_EXTERNAL_PACKAGE_SCRIPT ${PROJECT_SOURCE_DIR}/packaging/archive.cmake)
  set(CPACK_PACKAGE_FILE_NAME memolock-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR})
  # One file of each package that is part of the binary. Boost is omitted, because its license has no conditions for
  # binaries.
  get_property(CPACK_MEMOLOCK_PARTS GLOBAL PROPERTY third_party_headers)
  get_property(libraries GLOBAL PROPERTY third_party_libraries)
  list(APPEND CPACK_MEMOLOCK_PARTS ${libraries})
  list(FILTER CPACK_MEMOLOCK_PARTS EXCLUDE REGEX boost)
  list(REMOVE_DUPLICATES CPACK_MEMOLOCK_PARTS)
  separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_FLAGS}")
  foreach(library libc.a libstdc++.a)
    execute_process(COMMAND ${CMAKE_CXX_COMPILER} ${flags} -print-file-name=${library}
      OUTPUT_VARIABLE file OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    list(APPEND CPACK_MEMOLOCK_PARTS ${file})
  endforeach()
else()
  set(CPACK_GENERATOR DEB)
  # The version of the package for a later release of Debian is higher, so that it replaces the one for an earlier release.
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS /etc/os-release)
  file(STRINGS /etc/os-release release REGEX "^(ID|VERSION_ID)=")
  set(system "")
  set(CPACK_DEBIAN_PACKAGE_VERSION ${PROJECT_VERSION})
  if("${release}" MATCHES "(^|;)ID=debian(;|$)" AND "${release}" MATCHES "VERSION_ID=\"([0-9]+)\"")
    set(system -debian${CMAKE_MATCH_1})
    set(CPACK_DEBIAN_PACKAGE_VERSION ${PROJECT_VERSION}~deb${CMAKE_MATCH_1})
  endif()
  if(CMAKE_CROSSCOMPILING)
    set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
  else()
    execute_process(COMMAND dpkg --print-architecture OUTPUT_VARIABLE CPACK_DEBIAN_PACKAGE_ARCHITECTURE
      OUTPUT_STRIP_TRAILING_WHITESPACE)
  endif()
  set(CPACK_DEBIAN_FILE_NAME memolock-${PROJECT_VERSION}${system}-${CPACK_DEBIAN_PACKAGE_ARCHITECTURE}.deb)
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
  set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/packaging/debian.cmake)
  # DEBEMAIL and DEBFULLNAME override this, as with Debian's own tools.
  set(CPACK_DEBIAN_PACKAGE_MAINTAINER "memolock authors <memolock@example.org>")
  if(DEFINED ENV{DEBEMAIL})
    set(CPACK_DEBIAN_PACKAGE_MAINTAINER "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
  endif()
  set(CPACK_DEBIAN_PACKAGE_SECTION utils)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
  set(CPACK_DEBIAN_PACKAGE_SUGGESTS "redis-server | valkey-server")
  set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"memolock stores the output of an expensive command and replays it while it
is fresh. Of concurrent callers, one runs the command, and the others wait
for its output. Callers can be shells, cron jobs, CI jobs and make recipes,
on one machine or, with a Redis server, on several.")
endif()

include(CPack)
