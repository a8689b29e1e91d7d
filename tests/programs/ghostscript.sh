#!/usr/bin/env bash
# Ghostscript: an interpreter with a garbage collector of its own over malloc, fonts and images.
# Pages are rendered from PostScript and from PDF, and the pictures compared.
# shellcheck source=lib.sh disable=SC2317
source "$(dirname -- "$0")/lib.sh"

need gs

active gs --version

cat >"$in/pages.ps" <<'END'
%!PS-Adobe-3.0
/branch { % depth: a branching tree
    newpath 0 0 moveto 0 80 lineto stroke
    dup 0 gt {
        gsave 0 80 translate 27 rotate 0.75 dup scale dup 1 sub branch grestore
        gsave 0 80 translate -31 rotate 0.7 dup scale dup 1 sub branch grestore
    } if
    pop
} def
/words (The quick brown fox jumps over the lazy dog 0123456789 ) def
1 1 4 {
    /page exch def
    1 1 60 {
        /line exch def
        /Times-Roman findfont 6 line 12 mod add scalefont setfont
        line 60 div page 4 div 0.4 setrgbcolor
        40 line 12 mul moveto
        gsave line page mul 3 mod rotate words show words show grestore
    } for
    gsave 300 420 translate
    0 1 400 {
        /i exch def
        i 400 div 1 1 sethsbcolor
        i 11 mul rotate
        newpath i 0.5 mul 0 3 0 360 arc fill
        0 0 moveto i 0 i 40 60 i curveto stroke
    } for
    grestore
    gsave 300 100 translate 9 branch grestore
    gsave 60 600 translate 120 120 scale
    64 64 8 [64 0 0 -64 0 64]
    { 64 string 0 1 63 { 2 copy dup page mul 255 and put pop } for } bind image
    grestore
    /Helvetica-Bold findfont 40 scalefont setfont
    0.2 setgray 100 750 moveto (Page ) show page 10 string cvs show
    showpage
} for
END

render() {
    gs -q -dSAFER -dBATCH -dNOPAUSE -sDEVICE="$1" -r110 "${@:3}" -sOutputFile=page%d."$1" "$2"
}

gs -q -dSAFER -dBATCH -dNOPAUSE -sDEVICE=pdfwrite -sOutputFile="$in/pages.pdf" "$in/pages.ps"

same "PostScript to PNG" render png16m "$in/pages.ps"
same "PostScript to PNG, smooth, two threads" render pngalpha "$in/pages.ps" \
    -dTextAlphaBits=4 -dGraphicsAlphaBits=4 -dNumRenderingThreads=2 -dBandHeight=100
same "PDF to PNG" render png16m "$in/pages.pdf"
same "PDF to text" gs -q -dSAFER -dBATCH -dNOPAUSE -sDEVICE=txtwrite -sOutputFile=- "$in/pages.pdf"
finish
