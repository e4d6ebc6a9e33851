# fish completions for memolock and memolock-sh.
#
# Verbs, options and the types of their values come from "memolock --help" and "memolock VERB --help", so that
# they match the installed version. Tags and ids come from the store, which has one second to reply.

# Prints the words before the cursor, without the program's name. memolock-sh has the options of get.
function __memolock_words
    set -l words (commandline -opc)
    if string match -q '*memolock-sh' -- $words[1]
        set words[1] get
    else
        set -e words[1]
    end
    set -q words[1]; and printf '%s\n' $words
end

# Prints the words before the cursor that follow the verb's options. Fails if an option or its value is expected.
function __memolock_operands
    set -l words (__memolock_words)
    set -l verb $words[1]
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case --
                set -q words[2]; and printf '%s\n' $words[2..-1]
                return 0
            case '-*'
                if contains -- $verb$words[1] $__memolock_valued
                    set -q words[2]; or return 1
                    set -e words[1]
                end
                set -e words[1]
            case '*'
                printf '%s\n' $words
                return 0
        end
    end
    not string match -q -- '-*' (commandline -ct)
end

function __memolock_wants_verb
    test (count (__memolock_words)) -eq 0
end

# __memolock_wants_option VERB
function __memolock_wants_option
    set -l words (__memolock_words)
    test "$words[1]" = $argv[1]; and not __memolock_operands >/dev/null
end

# __memolock_wants_operand VERB
function __memolock_wants_operand
    set -l words (__memolock_words)
    test "$words[1]" = $argv[1]; and __memolock_operands >/dev/null
end

# The completions of the wrapped command.
function __memolock_complete_command
    set -l current (commandline -ct)
    complete -C (string join ' ' -- (string escape -- (__memolock_operands)) "$current")
end

# The default tag, from a variable or a file: a command that runs without a store prints it.
function __memolock_usual_tag
    env MEMOLOCK_BYPASS=1 timeout 1 memolock get -q --report= --ttl 0 -- printenv MEMOLOCK_RUN_TAG 2>/dev/null </dev/null
end

# __memolock_stored FIELD: prints that field of "ls", for the store of this line, with a description. Escaped names are
# omitted, because they cannot be distinguished from names that contain a backslash.
function __memolock_stored
    set -l words (__memolock_words)
    set -l tag
    set -l description tag
    set -l store
    while set -q words[1]
        set -l word $words[1]
        set -e words[1]
        if string match -qr -- '^--(store|tag|password-file|(sentinel|tls)-[^=]*)$' $word
            set word $word=$words[1]
            set -e words[1]
        end
        switch $word
            case --
                break
            case '--tag=*'
                set tag (string replace -- --tag= '' $word)
            case '--store=*' '--password-file=*' '--sentinel-*=*' '--tls-*=*'
                set -a store $word
        end
    end
    if test $argv[1] = 2
        set -q tag[1]; or set tag (__memolock_usual_tag)
        set -a store --tag=$tag
        set description "id of $tag"
    end
    timeout 1 memolock ls -q --store-timeout 300ms $store 2>/dev/null </dev/null \
        | head -n 1000 | cut -f $argv[1] | string match -rv '\\\\' | sort -u \
        | while read -l name
        printf '%s\t%s\n' $name $description
    end
end

# __memolock_learn_option VERB SHORT LONG KIND TEXT
function __memolock_learn_option
    set -l option -c memolock -n "__memolock_wants_option $argv[1]" -l $argv[3] -d $argv[5]
    test $argv[1] = get; and set -a option -c memolock-sh
    test -n "$argv[2]"; and set -a option -s $argv[2]
    if test -n "$argv[4]"
        set -g -a __memolock_valued $argv[1]--$argv[3]
    end
    switch "$argv[4]"
        case ''
            complete $option
        case '*|*'
            complete $option -x -a "$(string replace -a '|' ' ' $argv[4])"
        case PATH FILE
            complete $option -r -F
        case NAME
            complete $option -x -a '(set -nx)'
        case TAG
            complete $option -x -a '(__memolock_stored 1)'
        case ID
            complete $option -x -a '(__memolock_stored 2)'
        case '*'
            complete $option -x
    end
end

# __memolock_learn_operands VERB USAGE
function __memolock_learn_operands
    set -l operand -c memolock -n "__memolock_wants_operand $argv[1]"
    switch $argv[2]
        case '*COMMAND*'
            complete $operand -x -a '(__memolock_complete_command)'
        case '*FILE*'
            complete $operand -F
        case '*'
            # a word such as bash|zsh|fish
            complete $operand -x -a "$(string match -ra '[a-z]+(?:\|[a-z]+)+' $argv[2] | string replace -a '|' ' ')"
    end
end

# __memolock_learn VERB
function __memolock_learn
    memolock $argv[1] --help 2>/dev/null | while read -l line
        if string match -qr '^Usage: ' -- $line
            __memolock_learn_operands $argv[1] $line
        else if set -l parts (string match -r -- '^  (|-.,)--([a-z-]+)( [^ ]+|) +(.*)$' $line)
            __memolock_learn_option $argv[1] (string trim -c ' -,' -- $parts[2..-1])
        end
    end
end

command -q memolock; or return
set -g __memolock_valued
complete -c memolock -f
complete -c memolock -n __memolock_wants_verb -l help -s h -d 'show this help'
complete -c memolock -n __memolock_wants_verb -l version -d 'show the version'
memolock --help 2>/dev/null | sed -n '/^Verbs:/,/^$/s/^  //p' | while read -l line
    set -l parts (string match -r '^([a-z]+) +(.*)$' $line)
    complete -c memolock -n __memolock_wants_verb -a $parts[2] -d $parts[3]
    __memolock_learn $parts[2]
end
complete -c memolock-sh -n '__memolock_wants_option get' -l output-only -d 'the line creates no file'
