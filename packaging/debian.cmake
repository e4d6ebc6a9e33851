# Runs before the .deb is written. Adds the documents that Debian's policy requires.
set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr)
set(doc ${root}/share/doc/memolock)

string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC) # the time of SOURCE_DATE_EPOCH if that is set
file(WRITE ${doc}/changelog
"memolock (${CPACK_DEBIAN_PACKAGE_VERSION}) stable; urgency=medium

  * See CHANGELOG.md.gz.

 -- ${CPACK_DEBIAN_PACKAGE_MAINTAINER}  ${date}
")
file(COPY ${CPACK_MEMOLOCK_DOCUMENTS} DESTINATION ${doc})

# The license in Debian's format: each line begins with a space, and an empty line contains a dot.
file(READ ${CPACK_MEMOLOCK_SOURCE}/LICENSE license)
string(REGEX MATCH "Copyright \\(c\\) ([^\n]*)\n\n(.*[^\n])\n*$" license "${license}")
set(owner "${CMAKE_MATCH_1}")
string(REPLACE "\n\n" "\n.\n" text "${CMAKE_MATCH_2}")
string(REPLACE "\n" "\n " text "${text}")
file(WRITE ${doc}/copyright
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: memolock

Files: *
Copyright: ${owner}
License: Expat
 ${text}
")

file(GLOB texts ${doc}/changelog ${doc}/CHANGELOG.md ${root}/share/man/man*/*)
foreach(text IN LISTS texts)
  if(NOT text MATCHES "\\.gz$")
    execute_process(COMMAND gzip -9n ${text} COMMAND_ERROR_IS_FATAL ANY)
  endif()
endforeach()
execute_process(COMMAND chmod -R u=rwX,go=rX ${doc} ${root}/share/man COMMAND_ERROR_IS_FATAL ANY)
