# Bars of ratios to glibc, a row of the benchmark on each line: gnuplot -c plot_bars.gp DATA OUT
# TITLE COLOURS ROWS END. The blocks of DATA are the allocators, then the rows' names and who lost
# which; the axis goes from 1/END to END, and longer bars are cut there.
data = ARG1
colours = ARG4
rows = int(ARG5)
end = real(ARG6)
cut(x) = x < 1 / end ? 1 / end : x > end ? end : x

# A fixed frame around the rows, however many there are.
height = 130 + 30 * rows
set terminal svg noenhanced size 900, height font "sans-serif,12" background "#ffffff"
set output ARG2
set lmargin at screen 0.22
set rmargin at screen 0.97
set tmargin at screen 1 - 80.0 / height
set bmargin at screen 40.0 / height
set label ARG3.", left of 1 is better" at screen 0.595, screen 1 - 16.0 / height center font ",15"
set key at screen 0.595, screen 1 - 40.0 / height center center horizontal samplen 2

set logscale x 2
set logscale x2 2
set xrange [0.999 / end:1.001 * end]
set x2range [0.999 / end:1.001 * end]
set yrange [0.45:rows + 0.55] noextend
set border 0
do for [axis in "xtics x2tics"] {
    eval "set ".axis.' scale 0 ("1/8" 0.125, "1/4" 0.25, "1/2" 0.5, "0.7" 0.7, "0.85" 0.85, '. \
        '"1" 1, "1.2" 1.2, "1.4" 1.4, "2" 2, "4" 4, "8" 8) textcolor rgb "#444444"'
}
set x2tics offset 0, -0.4
set ytics scale 0
set grid xtics back lc rgb "#dddddd" lw 1
set style fill solid 1.0 noborder
set arrow from 1, graph 0 to 1, graph 1 nohead front lc rgb "#444444"
do for [i = 1:rows - 1] {
    set arrow from graph 0, first i + 0.5 to graph 1, first i + 0.5 nohead back lc rgb "#eeeeee"
}

plot for [i = 0:words(colours) - 1] data index i using 1:2:3:(cut($4)):5:6 with boxxyerror \
        lc rgb int(word(colours, i + 1)) title columnheader(1), \
     data index words(colours) using (1):1:yticlabel(2) every ::1 with points pt -1 notitle, \
     data index words(colours) + 1 using (1 / end):1:2 every ::1 with labels right offset -1, -0.75 \
        font ",9" textcolor rgb "#c00000" notitle
