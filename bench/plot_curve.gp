# A scaling curve in two panels, over the same axis: gnuplot -c plot_curve.gp COST-DATA MEMORY-DATA
# OUT LABEL COLOURS TICKS. A block of the data is an allocator.
colours = ARG5

set terminal svg noenhanced size 820, 760 font "sans-serif,13" background "#ffffff"
set output ARG3
set multiplot layout 2, 1 margins 0.1, 0.97, 0.09, 0.88 spacing 0.1
set logscale x 2
set border 3 lc rgb "#888888"
eval "set xtics nomirror ".ARG6
set ytics nomirror
set grid lc rgb "#dddddd"
set key at screen 0.535, screen 0.975 center center horizontal samplen 2
set offsets graph 0.02, graph 0.02, 0, 0

set title "Cost of a free and a malloc, nanoseconds" font ",15"
set logscale y
plot for [i = 0:words(colours) - 1] ARG1 index i using 1:2 with linespoints pt 7 ps 0.6 lw 2 \
        lc rgb int(word(colours, i + 1)) title columnheader(1)

set title "Resident bytes for each live byte"
unset logscale y
set yrange [0:*]
set xlabel ARG4
unset key
plot for [i = 0:words(colours) - 1] ARG2 index i using 1:2 with linespoints pt 7 ps 0.6 lw 2 \
        lc rgb int(word(colours, i + 1)) title columnheader(1)
