# Completion of cipher-chat for bash. Groups, handles, ids of messages and profiles are asked of cipher-chat itself.
#
# bash breaks words at characters that are part of ours, such as the @ of a handle, and replaces only what stands behind
# the last one. So the words are joined again for cipher-chat, and what bash keeps is taken off its answers.
_cipher_chat() {
    local -a words=()
    local rest=${COMP_LINE:0:COMP_POINT} i word gap
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -z $word ]]; then
            # Behind a blank a new word begins; behind one of the characters the same word goes on.
            [[ ${COMP_LINE:0:COMP_POINT} == *[[:blank:]] ]] && words+=("")
            continue
        fi
        gap=${rest%%"$word"*}
        if [[ $gap == "$rest" ]]; then
            # The cursor stands in the middle of it.
            word=${rest##*[[:blank:]]}
            gap=${rest%"$word"}
        fi
        rest=${rest#"$gap$word"}
        if ((i > 0)) && [[ -z $gap ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
    done
    local index=$((${#words[@]} - 1))
    local current=${words[index]}
    mapfile -t COMPREPLY < <(_CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$index CIPHER_CHAT_COMPLETE=bash \
        "${words[0]/#\~/$HOME}" -- "${words[@]}" 2> /dev/null)
    local kept="" c
    for c in @ : =; do
        if [[ $COMP_WORDBREAKS == *"$c"* && $current == *"$c"* ]]; then
            local head=${current%"$c"*}$c
            ((${#head} > ${#kept})) && kept=$head
        fi
    done
    ((${#kept} > 0)) && COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/:] ]]; then
        compopt -o nospace 2> /dev/null
    fi
}
complete -o bashdefault -F _cipher_chat cipher-chat
