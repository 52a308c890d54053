"""Black-box tests: what users rely on, through public doors only. They know no internal name."""
