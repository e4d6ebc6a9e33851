# Runs before the tar.gz is written. Adds the licenses of all parts of the static binary, from the Debian packages that
# contain these parts.
set(doc ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/share/doc/memolock)
file(COPY ${CPACK_MEMOLOCK_SOURCE}/LICENSE ${CPACK_MEMOLOCK_SOURCE}/README.md ${CPACK_MEMOLOCK_SOURCE}/CHANGELOG.md
  DESTINATION ${doc})
foreach(part IN LISTS CPACK_MEMOLOCK_PARTS)
  file(REAL_PATH ${part} part)
  execute_process(COMMAND dpkg -S ${part} OUTPUT_VARIABLE package COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX REPLACE "[:,].*" "" package "${package}")
  file(REAL_PATH /usr/share/doc/${package}/copyright copyright)
  file(MAKE_DIRECTORY ${doc}/licenses)
  file(COPY_FILE ${copyright} ${doc}/licenses/${package})
endforeach()
